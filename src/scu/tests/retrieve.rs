//! C-MOVE, and what every retrieve has in common.

use super::*;

#[tokio::test]
async fn a_move_tells_counters_failures_and_words() {
    let (target, peer) = peer_that(
        |class| class != uids::STUDY_ROOT_MOVE,
        |mut session| async move {
            let (context, rq, identifier) = request(&mut session).await;
            assert_eq!(rq.destination.as_deref(), Some("FERRY_RX"));
            assert_eq!(rq.class.as_ref().unwrap().as_str(), uids::PATIENT_ROOT_MOVE, "where there is no Study Root");
            respond(&mut session, context, &rq, 0xFF00, None).await;
            let mut pending = Command::response(&rq, Status::PENDING);
            pending.counters = Counters { remaining: Some(1), completed: Some(2), failed: Some(0), warning: None };
            session.send(context, &pending, None, LONG).await.unwrap();
            let mut failed = Elements::new();
            failed.put(tags::FAILED_SOP_INSTANCE_UID_LIST, "1.2.3.4\\1.2.3.5");
            let mut end = Command::response(&rq, Status(0xB000));
            end.has_data_set = true;
            end.counters.failed = Some(2);
            end.comment = Some("tape is out".into());
            let bytes = failed.write(encoding(&session, context));
            session.send(context, &end, Some(&bytes), LONG).await.unwrap();
            (identifier, farewell(&mut session).await)
        },
    )
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let what = Retrieval {
        patient_id: Some("P1".into()),
        ..Retrieval::instances(
            StudyInstanceUid::new("1.2.3"),
            SeriesInstanceUid::new("1.2.3.1"),
            vec![SopInstanceUid::new("1.2.3.4"), SopInstanceUid::new("1.2.3.5")],
        )
    };
    let mut seen = Vec::new();
    let mut progress = |p: Progress| seen.push((p.status.0, p.counters.completed, p.counters.failed));
    let cancel = CancellationToken::new();
    let end = source.retrieve(&to_us(), &what, limits(LONG, LONG), &mut progress, &cancel).await.unwrap();
    assert_eq!(seen, [(0xFF00, None, None), (0xFF00, Some(2), Some(0)), (0xB000, Some(2), Some(2))]);
    assert_eq!((end.status, end.cancelled, end.received), (Status(0xB000), false, 0));
    assert_eq!(end.failed, [SopInstanceUid::new("1.2.3.4"), SopInstanceUid::new("1.2.3.5")]);
    assert_eq!(end.comment.as_deref(), Some("tape is out"));
    source.release().await;
    let (identifier, farewell) = peer.await.unwrap();
    for (tag, value) in [
        (tags::QUERY_RETRIEVE_LEVEL, "IMAGE"),
        (tags::PATIENT_ID, "P1"),
        (tags::STUDY_INSTANCE_UID, "1.2.3"),
        (tags::SERIES_INSTANCE_UID, "1.2.3.1"),
        (tags::SOP_INSTANCE_UID, "1.2.3.4\\1.2.3.5"),
    ] {
        assert_eq!(identifier.text(tag).as_deref(), Some(value));
    }
    assert_eq!(farewell, "released");
}

#[tokio::test]
async fn an_association_that_ends_at_a_move_hints_at_the_destination() {
    let (target, _peer) = peer(|mut session| async move {
        request(&mut session).await;
        session.abort().await;
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let cancel = CancellationToken::new();
    let error = source.retrieve(&to_us(), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap_err();
    assert!(error.hints_at_unknown_destination(), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.remedy().unwrap().contains("FERRY_RX"));
    // After a response it is a broken association like any other.
    let (target, _peer) = peer(|mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        respond(&mut session, context, &rq, 0xFF00, None).await;
        session.abort().await;
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let error = source.retrieve(&to_us(), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap_err();
    assert!(!error.hints_at_unknown_destination() && matches!(error, ScuError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn arrivals_elsewhere_keep_a_silent_move_alive_but_not_for_ever() {
    let (target, peer) = peer(|mut session| async move {
        request(&mut session).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let cancel = CancellationToken::new();
    let limits = Limits { idle: SHORT / 4, total: SHORT, alive: &now };
    let started = Instant::now();
    let error = source.retrieve(&to_us(), &study(), limits, &mut ignore, &cancel).await.unwrap_err();
    assert!(matches!(error, ScuError::TooSlow { .. }), "{error}");
    assert!(started.elapsed() >= SHORT);
    assert_eq!(peer.await.unwrap(), "aborted");
}

#[tokio::test]
async fn pendings_for_ever_meet_the_total_limit_and_silence_the_idle_limit() {
    let (target, _peer) = peer(|mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        let pending = Command::response(&rq, Status::PENDING);
        while session.send(context, &pending, None, LONG).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let cancel = CancellationToken::new();
    let error = source.retrieve(&to_us(), &study(), limits(LONG, SHORT), &mut ignore, &cancel).await.unwrap_err();
    assert!(matches!(error, ScuError::TooSlow { .. }), "{error}");
    let (target, _peer) = peer(|mut session| async move {
        request(&mut session).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
    let error = source.retrieve(&to_us(), &study(), limits(SHORT, LONG), &mut ignore, &cancel).await.unwrap_err();
    assert!(matches!(error, ScuError::Idle { .. }), "{error}");
}

#[tokio::test]
async fn a_cancelled_move_is_told_apart_from_one_that_was_just_done() {
    for (status, cancelled) in [(0xFE00, true), (0xB000, true), (0x0000, false)] {
        let (target, _peer) = peer(move |mut session| async move {
            let (context, rq, _) = request(&mut session).await;
            let (_, cancel, _) = request(&mut session).await;
            assert_eq!(cancel.field, CommandField::CCancelRq);
            respond(&mut session, context, &rq, status, None).await;
            farewell(&mut session).await
        })
        .await;
        let mut source = SourceSession::open(&target, Purpose::Move).await.unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let end = source.retrieve(&to_us(), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap();
        assert_eq!((end.status, end.cancelled), (Status(status), cancelled));
        source.release().await;
    }
}
