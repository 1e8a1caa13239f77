//! The worker as its parent sees it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;

/// A worker of the program that is tested, with a gigabyte and ten seconds.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

/// What it says.
#[derive(Debug)]
pub(super) enum Answer {
    Picture(Vec<u8>),
    Reason(String),
    NoFrame,
    Died,
}

impl Worker {
    pub(super) fn start() -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pacsferry"));
        command.args(["render-worker", "--memory", "1073741824", "--seconds", "10"]).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        Worker { input: child.stdin.take().unwrap(), output: child.stdout.take().unwrap(), child }
    }

    /// Its answer: a picture, or as `Native` the whole data set decoded. One that died is not asked again.
    pub(super) fn ask(&mut self, syntax: &str, data_set: &[u8], frame: u64, form: &str) -> Answer {
        let ask = json!({ "frame": frame, "window": null, "region": null, "size": null, "form": form, "quality": 90 });
        let task = match form {
            "Native" => json!({ "Decode": { "to": "1.2.840.10008.1.2", "coded": null } }),
            _ => json!({ "Draw": ask }),
        };
        let request = json!({ "syntax": syntax, "task": task }).to_string();
        let Worker { input, output, .. } = self;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let pieces = data_set.chunks(100_000).chain([&[][..]]);
                for piece in [request.as_bytes()].into_iter().chain(pieces) {
                    let length = u32::try_from(piece.len()).unwrap().to_be_bytes();
                    // A worker that died reads no more.
                    if input.write_all(&length).and_then(|()| input.write_all(piece)).is_err() {
                        return;
                    }
                }
            });
            let mut bytes = Vec::new();
            loop {
                let mut head = [0; 5];
                if output.read_exact(&mut head).is_err() {
                    return Answer::Died;
                }
                let length = u32::from_be_bytes(head[1..].try_into().unwrap());
                if output.take(length.into()).read_to_end(&mut bytes).unwrap() < length as usize {
                    return Answer::Died;
                }
                match head[0] {
                    // All of it, all pieces, or the number of bytes that all frames have.
                    0 | 5 | 6 => return Answer::Picture(bytes),
                    1 => return Answer::Reason(String::from_utf8(bytes).unwrap()),
                    2 => return Answer::NoFrame,
                    3 | 4 => {}
                    other => panic!("{other} is no answer"),
                }
            }
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have died long ago.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}
