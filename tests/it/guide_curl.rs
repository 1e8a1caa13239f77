//! The examples of the manual for programs, run as they are printed.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::dicomweb::Program;
use crate::support::peers::{PATIENCE, finish, text};
use crate::support::ward::{JOHN, Object, Ward};

/// An example: what is typed, and what the manual says is answered, if it does.
#[derive(Debug)]
struct Example {
    typed: String,
    answer: Option<String>,
}

/// All that begin with `curl`, with the line right behind them where that is an answer.
fn examples(chapter: &str) -> Vec<Example> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide").join(chapter);
    let text = std::fs::read_to_string(file).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let (mut open, mut behind) = (false, false);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let printed = line.strip_prefix("    ").unwrap_or_default();
        match examples.last_mut() {
            Some(last) if open => last.typed = format!("{}\n{printed}", last.typed),
            Some(last) if behind && printed.starts_with('{') => last.answer = Some(printed.to_owned()),
            _ if printed.starts_with("curl ") => {
                examples.push(Example { typed: printed.to_owned(), answer: None });
                open = true;
            }
            _ => {}
        }
        behind = open;
        open &= line.ends_with('\\');
    }
    examples
}

/// Two studies that the examples name, and so many others that lists have a second page.
fn ward() -> Ward {
    let named = [("1.2.3", "1.2.3.1"), ("1.2.4", "1.2.4.1")].into_iter().zip(1..).map(|((study, series), number)| {
        Object::ct(JOHN, number, 1, 1).with("StudyInstanceUID", study).with("SeriesInstanceUID", series)
    });
    let others = (3..55).map(|number| Object::ct(JOHN, number, 1, 1).with("StudyDate", "20240115"));
    let source = "[[source]]\nname = \"oldpacs\"\nae_title = \"OLD\"\naddress = \"127.0.0.1:9\"\n\
                  [[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";
    Ward::configured(&named.chain(others).collect::<Vec<_>>(), source)
}

#[test]
fn the_examples_of_the_manual_do_what_it_says() {
    let ward = ward();
    let readers = Program::new(&ward.ferry, "reports", "readers");
    let administrator = Program::new(&ward.ferry, "boss", "administrator");
    let all: Vec<Example> = ["api.md", "dicomweb.md"].into_iter().flat_map(examples).collect();
    assert!(all.len() >= 10, "{all:?}");
    let mut before = Value::Null;
    for Example { typed, answer } in all {
        // What the answer before has said stands for its place.
        let known = |name: &str| before[name].as_str().unwrap_or_default().to_owned();
        let typed = typed.replace("after=...", &format!("after={}", known("after")));
        let typed = typed.replace("\"sheet\": \"...\"", &format!("\"sheet\": \"{}\"", known("sheet")));
        assert!(!typed.contains("...") && !typed.contains("after=\""), "{typed}: {before}");
        let token = if typed.ends_with("/me") { &readers.token } else { &administrator.token };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{typed} -w '\\n%{{http_code}}'")]);
        command.env("TOKEN", token).env("BASE", format!("http://127.0.0.1:{}", ward.ferry.web));
        let done = finish(command, PATIENCE);
        let said = text(&done.stdout);
        let (body, status) = said.rsplit_once('\n').unwrap_or_else(|| panic!("{typed}: {}", text(&done.stderr)));
        assert!(status.starts_with('2'), "{typed}: {status}: {body}");
        before = serde_json::from_str(body).unwrap_or(Value::Null);
        if let Some(answer) = answer {
            assert_eq!(before, serde_json::from_str::<Value>(&answer).unwrap(), "{typed}");
        }
    }
}
