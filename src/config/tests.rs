//! The configuration as people write it, well and badly.

mod tls;

use std::net::IpAddr;
use std::time::Duration;

use super::*;

/// A section with nothing but what it needs.
const SOURCE: &str = "[[source]]\nname = \"old\"\nae_title = \"OLDPACS\"\naddress = \"10.1.2.3:104\"\n";

fn problems(text: &str) -> Vec<String> {
    match parse(text, None) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(|p| format!("{} | {} | {}", p.where_, p.message, p.remedy)).collect(),
    }
}

fn one(text: &str) -> String {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{text}\n{found:#?}");
    found.into_iter().next().unwrap()
}

/// The example with its commented keys made active.
fn uncommented() -> String {
    let active = |line: &str| match line.strip_prefix('#') {
        Some(rest)
            if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[' || c == ']')
                || rest.starts_with("  {") =>
        {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(active).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(parse(EXAMPLE, None), parse("", None));
    assert!(parse(EXAMPLE, None).is_ok());
}

#[test]
fn the_example_with_everything_switched_on_is_valid_and_shows_the_defaults_of_a_source() {
    let full = parse(&uncommented(), None).unwrap();
    let least = parse(&SOURCE.replace("old\"", "oldpacs\""), None).unwrap();
    assert_eq!((full.peers.len(), full.roles.len()), (1, 1));
    assert_eq!(full.sources[0].hours.len(), 2);
    // Everything that the example does not call an example is what a source has anyhow.
    let mut source = full.sources[0].clone();
    (source.rate, source.hours, source.find_limit, source.from, source.charset) = (None, vec![], None, vec![], None);
    (source.tls, source.identity, source.certificate) = (None, None, vec![]);
    assert_eq!(source, least.sources[0]);
    assert!(
        full.sources[0].rate.is_some() && full.sources[0].find_limit == Some(500) && full.sources[0].charset.is_some()
    );
}

#[test]
fn the_example_names_every_key() {
    // A key that is asked for but not in the example would be a secret.
    let text = uncommented();
    for section in
        ["storage", "node", "node.limits", "receiver", "source", "peer", "priors", "content", "role", "ai", "web"]
    {
        let heading = if matches!(section, "source" | "peer" | "priors" | "role") {
            format!("[[{section}]]")
        } else {
            format!("[{section}]")
        };
        let wrong = text.replacen(&format!("\n{heading}\n"), &format!("\n{heading}\nqqqqqqqq = 1\n"), 1);
        let said = one(&wrong);
        let keys = said.split("the keys here are: ").nth(1).unwrap_or_else(|| panic!("{said}"));
        for key in keys.split(", ") {
            let table = format!("[{section}.{key}]");
            let named = |line: &str| line.trim_start().starts_with(key) || line == table;
            assert!(text.lines().any(named), "{section}.{key} is not in the example");
        }
    }
}

#[test]
fn unknown_keys_are_errors_that_name_line_and_nearest_key() {
    assert_eq!(
        one("[storage]\nfoldr = \"x\"\n"),
        "line 2, storage.foldr | `foldr` is not a key that pacsferry knows here | did you mean `folder`?"
    );
    assert_eq!(
        one(&format!("{SOURCE}asociations = 2\n")),
        "line 5, source.old.asociations | `asociations` is not a key that pacsferry knows here | did you mean `associations`?"
    );
    assert!(one("[sources]\n").contains("did you mean `source`?"));
    assert!(one(&format!("{SOURCE}retry = {{ frist = \"1s\" }}\n")).contains("source.old.retry.frist"));
    assert!(one("[web]\nzzz = 1").contains("the keys here are: listen"));
}

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_file() {
    let text = "[storage]\nminimum_free = 5\nfolder = \"\"\n[receiver]\nae_title = \"WAY_TOO_LONG_FOR_DICOM\"\nlisten = \"nowhere\"\nmax_pdu = 1\n[[source]]\nname = \"a b\"\nretrieve = \"pull\"\nassociations = 0\n";
    let found = problems(text);
    let lines: Vec<&str> = found.iter().map(|p| p.split(" | ").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "line 2, storage.minimum_free",
            "line 3, storage.folder",
            "line 5, receiver.ae_title",
            "line 6, receiver.listen",
            "line 7, receiver.max_pdu",
            "line 8, source[1].ae_title",
            "line 8, source[1].address",
            "line 9, source[1].name",
            "line 10, source[1].retrieve",
            "line 11, source[1].associations",
        ]
    );
    assert!(found.iter().all(|p| !p.ends_with(" | ")), "{found:#?}");
}

#[test]
fn what_follows_from_a_mistake_is_not_told_as_another_one() {
    let hours = |span: &str| problems(&format!("{SOURCE}hours = [ {{ {span} }} ]\n"));
    for span in ["rate = \"20 MiBs\"", "asociations = 1", "days = \"fry\"", "from = \"24:00\", to = \"25:00\""] {
        assert_eq!(hours(span).len(), 1, "{:#?}", hours(span));
    }
    assert!(hours("days = \"fri\"")[0].contains("changes nothing"));
    assert!(hours("from = \"07:00\", to = \"07:00\", associations = 1")[0].contains("ends where it begins"));
}

#[test]
fn a_text_that_is_no_toml_names_the_line() {
    assert!(
        one("[storage]\nfolder = \n").starts_with("line 2 | this is not TOML"),
        "{:?}",
        problems("[storage]\nfolder = \n")
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert!(one("[node]\nlisten = \"0.0.0.0:11112\"").contains("there is no [[peer]]"));
    assert!(one("[node]\nlisten = \"127.0.0.1:11113\"").contains("same port"));
    assert!(
        one("[storage]\ncatalog = \"sqlite:pacsferry-data/images/catalog.db\"").contains("inside the storage folder")
    );
    assert!(one("[storage]\ncatalog = \"postgres://x\"").contains("is no catalog"));
    assert!(one(&format!("{SOURCE}{SOURCE}")).contains("two sources are called `old`"));
    assert!(one(&SOURCE.replace("\"old\"", "\"catalog\"")).contains("our own catalog"));
    assert!(one(&format!("{SOURCE}retry = {{ first = \"2m\", longest = \"1m\" }}")).contains("shorter than the first"));
    assert!(one(&format!("{SOURCE}timeout = {{ find = \"0s\" }}")).contains("zero"));
    assert!(one(&format!("{SOURCE}hours = [ {{ days = \"daily\" }} ]")).contains("changes nothing"));
    assert!(
        one(&format!("{SOURCE}hours = [ {{ from = \"07:00\", to = \"07:00\", associations = 1 }} ]"))
            .contains("ends where it begins")
    );
    assert!(one("[[peer]]\nae_title = \"X\"\naddress = \"h:1\"\nallow = [\"fly\"]").contains("\"query\" or"));
    let peer = "[[peer]]\nae_title = \"X\"\naddress = \"h:1\"\n[node]\nlisten = \"0.0.0.0:11112\"";
    assert_eq!(problems(peer), Vec::<String>::new());
}

#[test]
fn a_source_has_what_it_was_given_and_defaults_for_the_rest() {
    let text = format!(
        "{SOURCE}retrieve = \"get\"\nrate = \"20 MiB/s\"\nverify = \"count\"\nsettle = \"0s\"\ncalling = \"ME\"\n[receiver]\nlisten = \"127.0.0.1:0\"\nanswer = \"durable\"\n"
    );
    let config = parse(&text, None).unwrap();
    let source = config.source("old").unwrap();
    assert_eq!(
        (source.retrieve, source.rate, source.verify, source.settle),
        (Retrieve::Get, Some(20 << 20), Verify::Count, Duration::ZERO)
    );
    assert_eq!((source.associations, source.attempts, source.calling.as_str()), (4, 5, "ME"));
    assert_eq!(source.timeout.move_total, Duration::from_secs(12 * 3600));
    assert_eq!((config.receiver.answer, config.receiver.listen.port()), (AnswerPolicy::Durable, 0));
    assert_eq!(config.source("other"), None);
}

#[test]
fn objects_come_from_the_address_of_the_source_or_from_where_it_says() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let config = parse(
        &format!("{SOURCE}{}from = [\"192.168.0.77/16\", \"10.9.9.9\"]", SOURCE.replace("old\"", "second\"")),
        None,
    )
    .unwrap();
    let name = |address: &str| config.source_of_address(ip(address)).map(|s| s.name.as_str());
    assert_eq!(name("10.1.2.3"), Some("old"));
    assert_eq!(name("::ffff:10.1.2.3"), Some("old"));
    assert_eq!(name("192.168.200.1"), Some("second"));
    assert_eq!(name("10.9.9.9"), Some("second"));
    assert_eq!(name("10.1.2.4"), None);
    assert_eq!(name("127.0.0.1"), None);
}

#[test]
fn host_names_are_looked_up_when_asked() {
    let mut config = parse(&SOURCE.replace("10.1.2.3", "localhost"), None).unwrap();
    assert_eq!(config.source_of_address("127.0.0.1".parse().unwrap()), None);
    assert_eq!(config.resolve(), []);
    assert!(config.source_of_address("127.0.0.1".parse().unwrap()).is_some());
}

#[test]
fn addresses_are_hosts_and_ports() {
    for (text, shown) in
        [("10.1.2.3:104", "10.1.2.3:104"), ("pacs.example:11112", "pacs.example:11112"), ("[::1]:104", "[::1]:104")]
    {
        assert_eq!(text.parse::<HostPort>().map(|a| a.to_string()), Ok(shown.to_owned()));
    }
    for text in ["", "pacs", "pacs:", ":104", "pacs:0", "pacs:70000", "::1:104", "[pacs]:104", "a b:1", "a/b:1"] {
        assert!(text.parse::<HostPort>().is_err(), "{text}");
    }
}

#[test]
fn a_named_file_must_exist() {
    let error = load(Some(Path::new("/nonexistent/pacsferry.toml"))).unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/pacsferry.toml") && error.to_string().contains("cannot be read"),
        "{error}"
    );
}
