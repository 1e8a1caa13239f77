//! C-GET: what is proposed, taken and told.

use super::*;

/// What a store saw: the instance, its transfer syntax, its bytes, and whether it was whole.
type Seen = Arc<Mutex<Vec<(String, String, Vec<u8>, bool)>>>;

fn store(seen: &Seen, status: u16) -> Store {
    let seen = seen.clone();
    Arc::new(move |mut stream: ObjectStream| {
        let seen = seen.clone();
        Box::pin(async move {
            let (mut bytes, mut whole) = (Vec::new(), false);
            while let Some(fragment) = stream.fragments.recv().await {
                match fragment {
                    Fragment::Data(data) => bytes.extend_from_slice(&data),
                    Fragment::End => whole = true,
                }
            }
            let names = (stream.instance.to_string(), stream.transfer_syntax.to_string());
            seen.lock().unwrap().push((names.0, names.1, bytes, whole));
            (Status(status), (status != 0).then(|| "our words".to_string()))
        })
    })
}

fn ct(syntaxes: &[&str]) -> Purpose {
    Purpose::Get(vec![(SopClassUid::new(CT), syntaxes.iter().map(|s| TransferSyntaxUid::new(s)).collect())])
}

fn store_rq(n: u16, instance: &str) -> Command {
    Command { has_data_set: true, ..Command::store_rq(n, &SopClassUid::new(CT), &SopInstanceUid::new(instance), None) }
}

fn storage_contexts(session: &Session) -> Vec<u8> {
    let contexts = session.association().contexts().iter();
    contexts.filter(|c| c.abstract_syntax.as_str() == CT).map(|c| c.id).collect()
}

#[tokio::test]
async fn objects_of_a_get_come_over_the_same_association() {
    let object: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let sent = object.clone();
    let (target, peer) = peer(move |mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        assert_eq!(rq.field, CommandField::CGetRq);
        let contexts = storage_contexts(&session);
        let mut answers = Vec::new();
        for (&storage, (n, instance)) in contexts.iter().zip([(7, "1.2.3.1"), (8, "1.2.3.2")]) {
            session.send(storage, &store_rq(n, instance), Some(&sent), LONG).await.unwrap();
            let (_, answer, _) = request(&mut session).await;
            answers.push((answer.field, answer.message_id, answer.status, answer.comment));
            respond(&mut session, context, &rq, 0xFF00, None).await;
        }
        respond(&mut session, context, &rq, 0, None).await;
        (contexts.len(), answers, farewell(&mut session).await)
    })
    .await;
    let mut source = SourceSession::open(&target, ct(&[uids::EXPLICIT_LE, PRIVATE_SYNTAX])).await.unwrap();
    assert!(source.can(Service::Get) && !source.can(Service::Find));
    let seen = Seen::default();
    let mut received = Vec::new();
    let mut progress = |p: Progress| received.push(p.received);
    let cancel = CancellationToken::new();
    let how = Retrieve::Get(store(&seen, 0xB007));
    let end = source.retrieve(&how, &study(), limits(LONG, LONG), &mut progress, &cancel).await.unwrap();
    assert_eq!((end.status, end.received, end.cancelled), (Status::SUCCESS, 2, false));
    assert_eq!(received, [1, 1, 2, 2, 2]);
    source.release().await;
    let (contexts, answers, farewell) = peer.await.unwrap();
    let answer = |id| (CommandField::CStoreRsp, id, Some(Status(0xB007)), Some("our words".to_string()));
    assert_eq!((contexts, answers, farewell), (2, vec![answer(7), answer(8)], "released"));
    let expected = |uid: &str, syntax: &str| (uid.to_string(), syntax.to_string(), object.clone(), true);
    let seen = seen.lock().unwrap();
    // Not `assert_eq`, which would print the bytes.
    assert!(*seen == [expected("1.2.3.1", uids::EXPLICIT_LE), expected("1.2.3.2", PRIVATE_SYNTAX)]);
}

#[tokio::test]
async fn a_store_that_takes_nothing_still_answers() {
    let (target, peer) = peer(|mut session| async move {
        let (context, rq, _) = request(&mut session).await;
        let storage = storage_contexts(&session)[0];
        session.send(storage, &store_rq(1, "1.2.3.1"), Some(&vec![1; 500_000]), LONG).await.unwrap();
        let (_, refused, _) = request(&mut session).await;
        // An object without a data set.
        let empty = Command { has_data_set: false, ..store_rq(2, "1.2.3.2") };
        session.send(storage, &empty, None, LONG).await.unwrap();
        let (_, also, _) = request(&mut session).await;
        respond(&mut session, context, &rq, 0xA702, None).await;
        farewell(&mut session).await;
        [refused.status, also.status]
    })
    .await;
    let mut source = SourceSession::open(&target, ct(&[uids::EXPLICIT_LE])).await.unwrap();
    let refuse: Store = Arc::new(|stream: ObjectStream| {
        drop(stream);
        Box::pin(async { (Status::OUT_OF_RESOURCES, None) })
    });
    let cancel = CancellationToken::new();
    let end =
        source.retrieve(&Retrieve::Get(refuse), &study(), limits(LONG, LONG), &mut ignore, &cancel).await.unwrap();
    assert_eq!(end.status, Status(0xA702));
    source.release().await;
    assert_eq!(peer.await.unwrap(), [Some(Status::OUT_OF_RESOURCES); 2]);
}

#[tokio::test]
async fn a_get_that_is_cut_or_cancelled_within_an_object_never_ends_it() {
    for cut_by_peer in [true, false] {
        let (target, peer) = peer(move |mut session| async move {
            let _ = request(&mut session).await;
            let storage = storage_contexts(&session)[0];
            let association = session.association_mut();
            association.send_command(storage, &store_rq(1, "1.2.3.1").encode(), LONG).await.unwrap();
            association.send_data(storage, &[7; 100_000], false, LONG).await.unwrap();
            if cut_by_peer {
                session.abort().await;
                return "cut";
            }
            farewell(&mut session).await
        })
        .await;
        let mut source = SourceSession::open(&target, ct(&[uids::EXPLICIT_LE])).await.unwrap();
        let seen = Seen::default();
        let cancel = CancellationToken::new();
        if !cut_by_peer {
            cancel.cancel();
        }
        let how = Retrieve::Get(store(&seen, 0));
        let started = Instant::now();
        let ended = source.retrieve(&how, &study(), limits(LONG, LONG), &mut ignore, &cancel).await;
        assert!(started.elapsed() < Duration::from_secs(2));
        match ended {
            Ok(end) => assert!(end.cancelled && !cut_by_peer && end.received == 0),
            Err(error) => assert!(cut_by_peer && !error.hints_at_unknown_destination(), "{error}"),
        }
        assert!(seen.lock().unwrap().iter().all(|(_, _, bytes, whole)| !whole && bytes.len() <= 100_000));
        assert_eq!(peer.await.unwrap(), if cut_by_peer { "cut" } else { "aborted" });
    }
}

#[tokio::test]
async fn more_contexts_than_there_are_is_our_own_mistake() {
    let syntaxes = (0..=MOST_STORAGE_CONTEXTS).map(|n| TransferSyntaxUid::new(&format!("1.2.{n}"))).collect();
    let purpose = Purpose::Get(vec![(SopClassUid::new(CT), syntaxes)]);
    let (target, _peer) = peer(|_session| async move {}).await;
    let error = SourceSession::open(&target, purpose).await.unwrap_err();
    assert_eq!(error.fault(), crate::object::Fault::Local);
    assert!(matches!(error, ScuError::TooManyContexts { wanted: 129, most: 128 }), "{error}");
}
