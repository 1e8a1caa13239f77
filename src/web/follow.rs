//! Jobs while somebody looks: how far one is, once a second, until it is at rest.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};

use super::Web;
use super::answer::Refused;
use super::jobs::{OfJob, told};
use crate::config::Privilege;
use crate::job::progress::is_at_rest;

/// How often a page that follows a job is told how far it is.
const TICK: Duration = Duration::from_secs(1);
/// Silence after which something is sent, so that nobody takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(10);
/// The most that one account follows at one time: each is a connection of the console.
const MOST: usize = 8;

/// How many jobs each account follows. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub struct Followers(Arc<Mutex<HashMap<i64, usize>>>);

/// One of them; dropping it makes room.
struct Follower {
    user: i64,
    all: Followers,
}

impl Followers {
    fn one(&self, user: i64) -> Option<Follower> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(user).or_default();
        if *count == MOST {
            return None;
        }
        *count += 1;
        Some(Follower { user, all: self.clone() })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.user)),
        }
    }
}

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    OfJob { signed, job }: OfJob,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refused> {
    let many = || {
        let what = format!("{} follows {MOST} jobs already", signed.operator.name);
        Refused::new(StatusCode::TOO_MANY_REQUESTS, what, "close a page")
    };
    let session = signed.session.id;
    let follower = web.followers.one(signed.session.user.id).ok_or_else(many)?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let told = stream::unfold(Some((web, tick, follower)), move |state| async move {
        let (web, mut tick, follower) = state?;
        tokio::select! {
            _ = tick.tick() => {}
            () = web.closing.cancelled() => return None,
        }
        // Whoever may not look any more is told no more.
        let user = web.catalog.holder_of(session).await.ok().flatten()?;
        if !web.config.borrow().account(&user.name, &user.roles).may(Privilege::View) {
            return None;
        }
        let job = web.catalog.job(job.id).await.ok().flatten()?;
        let progress = told(&web.catalog, &job).await.ok()?;
        let event = Event::default().event("progress").data(progress.to_string());
        // That it is at rest is the last that there is to tell.
        let more = (!is_at_rest(job.state)).then_some((web, tick, follower));
        Some((Ok(event), more))
    });
    Ok(Sse::new(told).keep_alive(KeepAlive::new().interval(ALIVE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_follows_so_many_and_no_more() {
        let followers = Followers::default();
        let mut held: Vec<_> = (0..MOST).map(|_| followers.one(1).unwrap()).collect();
        assert!(followers.one(1).is_none());
        assert!(followers.one(2).is_some(), "another account");
        held.pop();
        assert!(followers.one(1).is_some());
        held.clear();
        assert!(followers.0.lock().unwrap().is_empty());
    }
}
