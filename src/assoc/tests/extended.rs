//! SOP Class Extended Negotiation.

use super::*;

#[tokio::test]
async fn extended_negotiation_is_answered_for_the_classes_that_are_accepted() {
    let asked = [(CT, vec![1, 2]), (uids::VERIFICATION, vec![9]), ("1.2.3", vec![7]), (CT, vec![5])];
    let mut proposal = usual();
    proposal.extended = asked.map(|(class, information)| (class.to_owned(), information)).to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Each bit is agreed to that is asked for; Verification is refused.
    let policy = policy(|_| {
        let choice: Choice = Box::new(|o| match negotiate::is_storage(o.abstract_syntax.as_str()) {
            true => o.accept(),
            false => Answer::AbstractSyntaxNotSupported,
        });
        Decision::AcceptExtended(choice, Box::new(|_, asked| Some(asked.iter().map(|byte| byte + 1).collect())))
    });
    let timeouts = RequestTimeouts { connect: SOON, negotiate: SOON };
    let (asking, accepting) = tokio::join!(request("127.0.0.1", port, &proposal, &timeouts), async {
        accepting(listener.accept().await.unwrap().0, &policy).await
    });
    for association in [asking.unwrap(), accepting.unwrap()] {
        assert_eq!(association.extended(CT), Some(&[2, 3][..]));
        assert_eq!((association.extended(uids::VERIFICATION), association.extended("1.2.3")), (None, None));
    }
}

#[tokio::test]
async fn a_web_browser_is_told_that_this_is_no_web_server() {
    let (mut browser, socket) = sockets().await;
    let asking = async {
        browser.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        browser.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let policy = storage_only();
    let (answer, accepted) = tokio::join!(asking, accept(socket, &policy));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("DICOM"), "{answer}");
    assert!(accepted.unwrap_err().to_string().contains("it speaks HTTP"));
}
