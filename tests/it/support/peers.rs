//! Real peers for the tests: Orthanc and DCMTK's `dcmqrscp` as old PACS, DCMTK's tools as
//! independent receivers, pydicom's samples, and pacsferry itself as a user runs it.
//!
//! `scripts/test` installs what is used here.

mod commit;
mod dcmtk;
mod ferry;
mod find;
mod orthanc;
mod samples;
mod tls;
mod worklist;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

pub(crate) use commit::{Ask, Modality, Reference, Report};
pub(crate) use dcmtk::{DCMTK_SYNTAXES, Dcmqrscp, Storescp, dcmsend, echo, get_study, getscu, move_study, movescu};
pub(crate) use ferry::{Ferry, Finished, Source, files_below, string};
pub(crate) use find::{Answers, Question, findscu, hospital};
pub(crate) use orthanc::Orthanc;
pub(crate) use samples::script as python;
pub(crate) use samples::{
    Changes, Sample, changes_to_pydicom, data_set_digest, different_to_pydicom, distinct, pynetdicom_retrieves,
    samples, send, sop_instance,
};
pub(crate) use tls::{dcmtk_tls, echo_by};
pub(crate) use worklist::Worklist;

/// How long anything may take that a peer does at once on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Ports that no system gives to outgoing connections by itself (Linux begins at 32768, RFC 6335 at 49152).
const LISTENING: Range<u16> = 12_000..32_000;

/// A port on loopback that was free a moment ago, that no other call names again, and that no
/// outgoing connection takes while its owner is killed and started again.
pub(crate) fn free_port() -> u16 {
    // Another run of the tests beside this one begins elsewhere.
    static NEXT: LazyLock<Mutex<u16>> = LazyLock::new(|| Mutex::new(fastrand::u16(LISTENING)));
    let mut next = NEXT.lock().expect("no test panics here");
    loop {
        let port = *next;
        *next = if port + 1 < LISTENING.end { port + 1 } else { LISTENING.start };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// True when somebody listens on the port.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(1)).is_ok()
}

/// What a web server answers, head and body.
pub(crate) fn get(port: u16, path: &str) -> String {
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    until(&format!("an answer to {path}"), PATIENCE, || ask().ok())
}

/// Asks `condition` again and again until it yields something.
///
/// # Panics
/// When `limit` has passed, with `what` was waited for.
pub(crate) fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A server as a child process in a group of its own, which ends with it.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts `command` and waits until `ready`. Its output goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path, mut ready: impl FnMut() -> bool) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let out = std::fs::File::create(log).expect("a log file");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a second handle")).stderr(out).process_group(0);
        let child = command.spawn().unwrap_or_else(|e| missing(&program, &e));
        let mut server = Self { child };
        until(&format!("{program} starts"), PATIENCE, || {
            if let Ok(Some(status)) = server.child.try_wait() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                panic!("{program} ended with {status} instead of starting: {said}");
            }
            ready().then_some(())
        });
        server
    }
}

impl Server {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it has had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process that runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id())
            && let Some(group) = rustix::process::Pid::from_raw(group)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Runs a command to its end; it is killed, and the test fails, when it takes longer than `limit`.
pub(crate) fn finish(mut command: Command, limit: Duration) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| missing(&program, &e));
    let id = child.id();
    let waiting = std::thread::spawn(move || child.wait_with_output());
    let deadline = Instant::now() + limit;
    while !waiting.is_finished() {
        if Instant::now() > deadline {
            let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
            let _ = rustix::process::kill_process(pid.expect("a child's id"), rustix::process::Signal::KILL);
            let output = waiting.join().expect("the waiting thread").expect("its output");
            panic!("{command:?} took longer than {limit:?}: {}", text(&output.stderr));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    waiting.join().expect("the waiting thread").expect("its output")
}

/// What a program printed, whatever its encoding.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn missing(program: &str, error: &io::Error) -> ! {
    panic!("{program} cannot be run ({error}): scripts/test installs what the tests need")
}
