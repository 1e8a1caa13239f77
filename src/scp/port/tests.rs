//! The accept loop, with doors that are up to no good.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SOON: Duration = Duration::from_secs(30);

/// The first guest makes it panic; every other one is greeted.
#[derive(Clone, Default)]
struct Fragile(Arc<AtomicUsize>);

impl Door for Fragile {
    fn knows(&self, _: IpAddr) -> bool {
        true
    }

    fn room(&self) -> Room {
        Room { associations: 1, waiting: 8 }
    }

    async fn serve(self, mut socket: TcpStream, guest: Guest, _: CancellationToken) {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        assert!(guest.take_seat(), "the one before left its seat");
        assert!(number != 0, "the first guest is one too many");
        socket.write_all(b"welcome").await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_ends_one_association_and_no_other() {
    let config = Arc::new(crate::config::parse("", None).unwrap());
    let bound = Bound::new(([127, 0, 0, 1], 0).into(), &config, |_| None).await.unwrap();
    let address = bound.local_addr().unwrap();
    let stop = CancellationToken::new();
    let listening = tokio::spawn(listen(Fragile::default(), bound, stop.clone()));
    for expected in ["", "welcome", "welcome"] {
        let mut heard = String::new();
        let mut stream = TcpStream::connect(address).await.unwrap();
        tokio::time::timeout(SOON, stream.read_to_string(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, expected);
    }
    stop.cancel();
    tokio::time::timeout(SOON, listening).await.unwrap().unwrap();
}
