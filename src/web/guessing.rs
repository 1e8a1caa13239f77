//! How often may be guessed who somebody is. Who guesses at one account from one address waits, twice as long each time. A
//! name, or an address, at which many fail waits only a little, so that nobody shuts out a person, or all who sit behind one
//! address; and somebody who has signed in from where he is waits for nobody but himself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::LONGEST_NAME;

/// The first wait.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Failures are forgotten after so long.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// The most that is remembered of each kind; what is oldest is forgotten.
const REMEMBERED: usize = 10_000;

/// At what, or from where, is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Guesser {
    Pair(String, IpAddr),
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    until: Instant,
    last: Instant,
}

#[derive(Debug, Default)]
struct Memory {
    failures: HashMap<Guesser, Failures>,
    /// Who has signed in from where.
    known: HashMap<(String, IpAddr), Instant>,
}

/// What is remembered of guesses. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub(super) struct Guesses(Arc<Mutex<Memory>>);

impl Guesser {
    /// Failures that cost nothing, and the longest wait.
    fn patience(&self) -> (u32, Duration) {
        match self {
            Guesser::Pair(..) => (FREE, MEMORY),
            Guesser::Name(_) => (20, Duration::from_secs(60)),
            Guesser::Address(_) => (30, Duration::from_secs(30)),
        }
    }
}

/// Failures at one account from one address that cost nothing; each further one doubles the wait.
pub(super) const FREE: u32 = 5;

/// What one machine can have: of IPv6 a whole network.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// What is remembered of a name: no account has a longer one, and strangers may send much.
fn of_name(name: &str) -> String {
    name.chars().take(LONGEST_NAME).flat_map(char::to_lowercase).collect()
}

/// Forgets what is oldest where there is too much.
fn bound<K: Hash + Eq, V>(all: &mut HashMap<K, V>, last: impl Fn(&V) -> Instant) {
    if all.len() < REMEMBERED {
        return;
    }
    let mut times: Vec<Instant> = all.values().map(&last).collect();
    let (_, middle, _) = times.select_nth_unstable(REMEMBERED / 2);
    let middle = *middle;
    all.retain(|_, value| last(value) > middle);
}

impl Guesses {
    /// Counts an attempt as a failure before it is one, so that many at once are many: [`Guesses::succeeded`] takes that
    /// back. The error is how long to wait.
    pub(super) fn attempt(&self, name: &str, from: IpAddr) -> Result<(), Duration> {
        self.attempt_at(name, from, Instant::now())
    }

    fn attempt_at(&self, name: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let (name, from) = (of_name(name), neighbourhood(from));
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guessers = vec![Guesser::Pair(name.clone(), from)];
        if !memory.known.contains_key(&(name.clone(), from)) {
            guessers.extend([Guesser::Name(name), Guesser::Address(from)]);
        }
        let left = |who| Some(memory.failures.get(who)?.until.saturating_duration_since(now));
        if let Some(wait) = guessers.iter().filter_map(left).max().filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        for guesser in guessers {
            let (free, longest) = guesser.patience();
            bound(&mut memory.failures, |failures| failures.last);
            let failures = memory.failures.entry(guesser).or_insert(Failures { count: 0, until: now, last: now });
            if now.duration_since(failures.last) > MEMORY {
                failures.count = 0;
            }
            (failures.count, failures.last) = (failures.count.saturating_add(1), now);
            if let Some(over) = failures.count.checked_sub(free) {
                failures.until = now + FIRST_WAIT.saturating_mul(1 << over.min(16)).min(longest);
            }
        }
        Ok(())
    }

    /// The last attempt was none.
    pub(super) fn succeeded(&self, name: &str, from: IpAddr) {
        let (name, from) = (of_name(name), neighbourhood(from));
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.failures.remove(&Guesser::Pair(name.clone(), from));
        memory.failures.remove(&Guesser::Name(name.clone()));
        bound(&mut memory.known, |at| *at);
        let known_before = memory.known.insert((name, from), Instant::now()).is_some();
        // Who has an account of his own does not make others' failures undone.
        if !known_before && let Some(failures) = memory.failures.get_mut(&Guesser::Address(from)) {
            failures.count = failures.count.saturating_sub(1);
            failures.until = failures.last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn elsewhere(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    /// How many of so many attempts are let through, none of them with success.
    fn let_through(guesses: &Guesses, attempts: impl Iterator<Item = (String, IpAddr)>, now: Instant) -> usize {
        attempts.filter(|(name, from)| guesses.attempt_at(name, *from, now).is_ok()).count()
    }

    #[test]
    fn one_who_guesses_shuts_out_nobody_else() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let anna = |from| ("Anna".to_owned(), from);
        assert_eq!(let_through(&guesses, (0..20).map(|_| anna(HERE)), now), 5);
        assert!(guesses.attempt_at("anna", HERE, now).is_err());
        assert!(guesses.attempt_at("anna", elsewhere(1), now).is_ok(), "she is elsewhere");
        assert!(guesses.attempt_at("ben", HERE, now).is_ok(), "he sits behind the same address");
        assert!(guesses.attempt_at("anna", HERE, now + FIRST_WAIT).is_ok());
        assert!(guesses.attempt_at("anna", HERE, now + FIRST_WAIT * 2).is_err(), "twice as long");
    }

    #[test]
    fn many_names_from_one_address_and_many_addresses_at_one_name_wait_a_little() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        guesses.succeeded("carl", HERE);
        assert_eq!(let_through(&guesses, (0..200).map(|n| (format!("name{n}"), HERE)), now), 30);
        let wait = guesses.attempt_at("ben", HERE, now).unwrap_err();
        assert!(wait <= Duration::from_secs(30), "{wait:?}");
        assert!(guesses.attempt_at("carl", HERE, now).is_ok(), "he has signed in from there before");
        assert_eq!(let_through(&guesses, (0..200).map(|n| ("dora".to_owned(), elsewhere(n))), now), 20);
        let wait = guesses.attempt_at("dora", elsewhere(999), now).unwrap_err();
        assert!(wait <= Duration::from_secs(60), "{wait:?}");
        // A network of IPv6 is one address.
        let six = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + n));
        assert_eq!(let_through(&guesses, (0..20).map(|n| ("eve".to_owned(), six(n))), now), 5);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..30_000 {
            let _ = guesses.attempt_at(&format!("name{n}"), elsewhere(n), now + Duration::from_millis(n.into()));
            guesses.succeeded(&format!("other{n}"), elsewhere(n));
        }
        let _ = guesses.attempt_at(&"x".repeat(1 << 20), elsewhere(40_000), now + Duration::from_secs(31));
        let memory = guesses.0.lock().unwrap();
        let lengths = memory.failures.keys().map(|guesser| match guesser {
            Guesser::Pair(name, _) | Guesser::Name(name) => name.len(),
            Guesser::Address(_) => 0,
        });
        assert_eq!(lengths.max(), Some(LONGEST_NAME), "nor has one of them");
        assert!(memory.failures.len() <= REMEMBERED && memory.known.len() <= REMEMBERED);
    }
}
