//! C-FIND: rows, their end, and silence.

use super::*;

#[tokio::test]
async fn answers_come_one_by_one_whatever_they_look_like() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, identifier) = request(&mut session).await;
        assert_eq!(find.class.as_ref().unwrap().as_str(), uids::STUDY_ROOT_FIND);
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        respond(&mut session, context, &find, 0xFF01, None).await;
        let mut odd = row("1.2.3");
        odd.put_bytes(crate::dicom::Tag(0x0009, 0x1001), *b"OB", b"odd").put(tags::TIMEZONE_OFFSET_FROM_UTC, "+0100");
        respond(&mut session, context, &find, 0xFF00, Some(&odd)).await;
        // A final response should have no identifier.
        respond(&mut session, context, &find, 0, Some(&row("1.2.4"))).await;
        (identifier, farewell(&mut session).await)
    })
    .await;
    let mut source = query(&target).await;
    assert!(source.can(Service::Find) && source.can(Service::Move) && !source.can(Service::Get));
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    let first = find.next().await.unwrap().unwrap();
    assert_eq!(first.uid(tags::STUDY_INSTANCE_UID).unwrap().as_str(), "1.2.1");
    assert_eq!(first.text(tags::PATIENT_NAME).unwrap(), "Müller^Hans");
    assert!(find.end().is_none());
    assert!(find.next().await.unwrap().unwrap().is_empty());
    assert!(find.next().await.unwrap().is_some());
    assert!(find.next().await.unwrap().is_none());
    assert!(find.next().await.unwrap().is_none());
    assert_eq!(find.end(), Some(&FindEnd { status: Status::SUCCESS, rows: 3, comment: None, cancelled: false }));
    assert!(source.is_usable());
    source.release().await;
    let (identifier, farewell) = peer.await.unwrap();
    assert_eq!(identifier.text(tags::QUERY_RETRIEVE_LEVEL).unwrap(), "STUDY");
    assert_eq!(identifier.text(tags::STUDY_DATE).unwrap(), "20200101-");
    assert_eq!(identifier.bytes(tags::STUDY_INSTANCE_UID), Some(&[][..]), "never a star");
    assert_eq!(farewell, "released");
}

#[tokio::test]
async fn a_final_status_is_told_as_it_came_and_the_association_goes_on() {
    let statuses = [0xA700, 0xFE00, 0xC123, 0xB000];
    let (target, _peer) = peer(move |mut session| async move {
        for status in statuses {
            let (context, find, _) = request(&mut session).await;
            respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
            let mut end = Command::response(&find, Status(status));
            end.comment = Some("too many".into());
            session.send(context, &end, None, LONG).await.unwrap();
        }
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    for (n, status) in statuses.into_iter().enumerate() {
        assert_eq!(usize::from(source.next_message_id()), n + 1);
        let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
        while find.next().await.unwrap().is_some() {}
        let end = find.end().unwrap();
        assert_eq!((end.status, end.rows, end.cancelled), (Status(status), 1, false));
        assert_eq!(end.comment.as_deref(), Some("too many"));
    }
}

#[tokio::test]
async fn a_query_without_life_is_aborted() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), SHORT, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    let started = Instant::now();
    let error = find.next().await.unwrap_err();
    assert!(error.is_timeout() && matches!(error, ScuError::Idle { .. }), "{error}");
    assert!(started.elapsed() >= SHORT);
    assert_eq!(peer.await.unwrap(), "aborted");
    assert!(!source.is_usable());
    assert!(matches!(
        source.find(QueryLevel::Study, &keys(), SHORT, &cancel).await.err(),
        Some(ScuError::NotReady { .. })
    ));
}

#[tokio::test]
async fn a_cancelled_query_ends_when_the_source_obeys() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        let (_, cancel, _) = request(&mut session).await;
        assert_eq!((cancel.field, cancel.message_id), (CommandField::CCancelRq, find.message_id));
        // One more was on its way.
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.2"))).await;
        respond(&mut session, context, &find, 0xFE00, None).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    cancel.cancel();
    assert!(find.next().await.unwrap().is_none());
    assert_eq!(find.end(), Some(&FindEnd { status: Status::CANCEL, rows: 1, comment: None, cancelled: true }));
    assert!(source.is_usable());
    source.release().await;
    assert_eq!(peer.await.unwrap(), "released");
}

#[tokio::test]
async fn a_source_that_ignores_a_cancel_is_left_within_a_second() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        let response = Command { has_data_set: true, ..Command::response(&find, Status::PENDING) };
        let bytes = row("1.2.1").write(encoding(&session, context));
        while session.send(context, &response, Some(&bytes), LONG).await.is_ok() {}
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    let told = Instant::now();
    cancel.cancel();
    assert!(find.next().await.unwrap().is_none());
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert!(find.end().unwrap().cancelled);
    assert!(!source.is_usable());
    tokio::time::timeout(LONG, peer).await.expect("the peer met an abort").unwrap();
}

#[tokio::test]
async fn a_query_that_was_dropped_does_not_mix_with_the_next() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    assert!(find.next().await.unwrap().is_some());
    drop(find);
    assert!(matches!(
        source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.err(),
        Some(ScuError::NotReady { .. })
    ));
    source.release().await;
    assert_eq!(peer.await.unwrap(), "aborted");
}

#[tokio::test]
async fn what_has_no_place_in_an_operation_ends_it() {
    let (target, peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        let nonsense = Command { field: CommandField::CMoveRsp, ..Command::response(&find, Status::SUCCESS) };
        session.send(context, &nonsense, None, LONG).await.unwrap();
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), LONG, &cancel).await.unwrap();
    let error = find.next().await.unwrap_err();
    assert!(matches!(error, ScuError::Unexpected { .. }), "{error}");
    assert_eq!(peer.await.unwrap(), "aborted");
}

#[tokio::test]
async fn our_own_slowness_between_answers_is_no_silence_of_the_source() {
    let (target, _peer) = peer(|mut session| async move {
        let (context, find, _) = request(&mut session).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.1"))).await;
        respond(&mut session, context, &find, 0xFF00, Some(&row("1.2.2"))).await;
        respond(&mut session, context, &find, 0, None).await;
        farewell(&mut session).await
    })
    .await;
    let mut source = query(&target).await;
    let cancel = CancellationToken::new();
    let mut find = source.find(QueryLevel::Study, &keys(), SHORT, &cancel).await.unwrap();
    while find.next().await.unwrap().is_some() {
        std::thread::sleep(SHORT * 2);
    }
    assert_eq!(find.end().unwrap().rows, 2);
}
