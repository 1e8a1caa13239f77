//! A browser with a screen that nobody sees: Debian's chromium, driven by its chromedriver (W3C WebDriver).
//!
//! When one is dropped it looks back at what the pages did: a request that left the machine, an error of a script and a
//! violation of the content security policy fail the test. A test that fails leaves a picture in `target/screenshots`.

mod driver;
mod looks;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::console::{PASSWORD, first_password};
use super::peers::{Ferry, PATIENCE, until};
use driver::Driver;

/// The machines that run the tests have two cores: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// How W3C WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys as W3C WebDriver writes them.
pub(crate) mod key {
    pub(crate) const TAB: &str = "\u{E004}";
    pub(crate) const ENTER: &str = "\u{E007}";
    pub(crate) const SPACE: &str = " ";
    pub(crate) const DOWN: &str = "\u{E015}";
}

/// A browser that looks at one console.
pub(crate) struct Chromium {
    driver: Driver,
    base: String,
    /// Whom else its pages may ask.
    asked: Vec<String>,
    tolerated: Vec<&'static str>,
    _turn: MutexGuard<'static, ()>,
}

impl Chromium {
    /// Opens one; the console need not run yet.
    pub(crate) fn open(ferry: &Ferry) -> Self {
        Chromium::open_at(&format!("http://127.0.0.1:{}", ferry.web))
    }

    /// Opens one that looks at another site.
    pub(crate) fn open_at(base: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, asked) = (base.to_owned(), Vec::new());
        Chromium { driver: Driver::start(), base, asked, tolerated: Vec::new(), _turn: turn }
    }

    /// Lets its pages ask another site.
    pub(crate) fn lets_ask(&mut self, base: &str) {
        self.asked.push(base.to_owned());
    }

    /// The same, signed in as the first administrator, who has chosen a password of his own.
    pub(crate) fn begin(ferry: &Ferry) -> Self {
        let chromium = Chromium::open(ferry);
        let password = first_password(ferry);
        chromium.go("/");
        chromium.sign_in("admin", &password);
        chromium.arrives("/password");
        chromium.choose_password(&password);
        chromium.arrives("/jobs");
        chromium
    }

    /// Fills the page of sign-in.
    pub(crate) fn sign_in(&self, name: &str, password: &str) {
        self.write("[name=name]", name);
        self.write("[name=password]", password);
        self.click("main button");
    }

    /// Fills the page that asks for a password of one's own.
    pub(crate) fn choose_password(&self, old: &str) {
        self.write("[name=old]", old);
        self.write("[name=new]", PASSWORD);
        self.write("[name=again]", PASSWORD);
        self.click("main button");
    }

    /// Lets the log have errors with these words: the test makes them happen.
    pub(crate) fn tolerate(&mut self, words: &'static str) {
        self.tolerated.push(words);
    }

    /// Opens a page of the console.
    pub(crate) fn go(&self, path: &str) {
        self.driver.must("POST", "/url", &json!({ "url": format!("{}{path}", self.base) }));
    }

    /// Where it is, without the console's address.
    pub(crate) fn place(&self) -> String {
        let url = self.driver.must("GET", "/url", &Value::Null);
        let url = url.as_str().expect("an address");
        url.strip_prefix(&self.base).unwrap_or(url).to_owned()
    }

    /// Waits until it is at a page whose address begins so.
    pub(crate) fn arrives(&self, path: &str) {
        until(&format!("{path} is shown (not {})", self.place()), PATIENCE, || {
            self.place().starts_with(path).then_some(())
        });
    }

    /// Waits until the page says this.
    pub(crate) fn shows(&self, text: &str) {
        until(&format!("the page says `{text}`"), PATIENCE, || self.says(text).then_some(()));
    }

    /// Whether the page says this now.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.run("return document.body.innerText").as_str().is_some_and(|page| page.contains(text))
    }

    /// How many elements there are now.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.driver.all(what).len()
    }

    /// Waits until there are so many elements.
    pub(crate) fn has(&self, what: &str, count: usize) {
        until(&format!("{count} times `{what}`"), PATIENCE, || (self.count(what) == count).then_some(()));
    }

    /// The text of the first such element.
    pub(crate) fn text(&self, what: &str) -> String {
        let text = self.with(what, |path| self.driver.ask("GET", &format!("{path}/text"), &Value::Null));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first such element as soon as it can be clicked.
    pub(crate) fn click(&self, what: &str) {
        self.with(what, |path| self.driver.ask("POST", &format!("{path}/click"), &json!({})));
    }

    /// Clicks the first such element, and says yes to what the page then asks, which has these words.
    pub(crate) fn click_and_agree(&self, what: &str, words: &str) {
        self.click(what);
        let asked = until("the page asks", PATIENCE, || self.driver.ask("GET", "/alert/text", &Value::Null).ok());
        assert!(asked.as_str().is_some_and(|asked| asked.contains(words)), "{asked}");
        self.driver.must("POST", "/alert/accept", &json!({}));
    }

    /// Types a text into a field instead of what is in it.
    pub(crate) fn write(&self, what: &str, text: &str) {
        self.with(what, |path| self.driver.ask("POST", &format!("{path}/clear"), &json!({})));
        self.with(what, |path| self.driver.ask("POST", &format!("{path}/value"), &json!({ "text": text })));
    }

    /// Presses keys one after the other, wherever the focus is.
    pub(crate) fn press(&self, keys: &[&str]) {
        let press = |key: &&str| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.iter().flat_map(press).collect();
        self.act(json!([{ "type": "key", "id": "keyboard", "actions": actions }]));
    }

    /// Goes on with the Tab key until an element has the focus, and fails when that never is.
    pub(crate) fn tab_to(&self, what: &str) {
        const MOST: usize = 200;
        let there = format!("return document.activeElement.matches({})", json!(what));
        for _ in 0..MOST {
            if self.run(&there) == true {
                return;
            }
            self.press(&[key::TAB]);
        }
        panic!("the Tab key never comes to `{what}`");
    }

    /// Drags one element to another with the mouse, as a hand does: slowly enough that the browser takes it for dragging.
    pub(crate) fn drag(&self, what: &str, to: &str) {
        let from = self.element(what);
        let to = self.element(to);
        self.driver.must(
            "POST",
            "/execute/sync",
            &json!({ "script": "arguments[0].scrollIntoView({block: 'center'})", "args": [{ ELEMENT: to }] }),
        );
        let at = |element: &str, x: i32| json!({"type": "pointerMove", "duration": 150, "origin": { ELEMENT: element }, "x": x, "y": 0});
        let actions = json!([
            at(&from, 0),
            { "type": "pointerDown", "button": 0 },
            at(&from, 12),
            at(&to, -8),
            at(&to, 0),
            { "type": "pointerUp", "button": 0 },
        ]);
        self.act(
            json!([{ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions }]),
        );
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.driver.must("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// A file that a link gives: waits until it is whole.
    pub(crate) fn download(&self, link: &str, name: &str) -> PathBuf {
        self.click(link);
        let file = self.driver.downloads().join(name);
        until(&format!("{name} is downloaded"), PATIENCE, || file.exists().then_some(()));
        file
    }

    /// Keeps a picture of the page as it is now, to be looked at.
    pub(crate) fn keep(&self, name: &str) -> PathBuf {
        looks::keep(name, &self.driver.must("GET", "/screenshot", &Value::Null))
    }

    fn act(&self, actions: Value) {
        self.driver.must("POST", "/actions", &json!({ "actions": actions }));
    }

    fn element(&self, what: &str) -> String {
        until(&format!("`{what}` is on the page"), PATIENCE, || self.driver.all(what).into_iter().next())
    }

    /// Does something with the first such element; again, while the page is not so far or has just changed.
    fn with(&self, what: &str, act: impl Fn(&str) -> Result<Value, String>) -> Value {
        let mut trouble = String::from("it is not there");
        let limit = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < limit {
            if let Some(element) = self.driver.all(what).first() {
                match act(&format!("/element/{element}")) {
                    Ok(value) => return value,
                    Err(error) => trouble = error,
                }
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        panic!("`{what}` at {}: {trouble}", self.place());
    }

    /// What happened in the pages that must not.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = Vec::new();
        for entry in self.driver.log("browser") {
            let message = entry["message"].as_str().unwrap_or_default();
            let counts = entry["level"] == "WARNING" || entry["level"] == "SEVERE";
            if counts && !self.tolerated.iter().any(|words| message.contains(words)) {
                faults.push(format!("{}: {message}", entry["level"]));
            }
        }
        for entry in self.driver.log("performance") {
            let entry: Value = serde_json::from_str(entry["message"].as_str().unwrap_or_default()).unwrap_or_default();
            let message = &entry["message"];
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["params"]["request"]["url"].as_str().unwrap_or_default();
            // What chromium's own first page is made of is in chromium.
            let inside = ["data:", "about:", "blob:", "chrome:"].iter().any(|start| url.starts_with(start));
            let mut sites = std::iter::once(&self.base).chain(&self.asked);
            if !inside && !sites.any(|site| url.starts_with(&format!("{site}/"))) {
                faults.push(format!("a page asks for {url}"));
            }
        }
        faults
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let name = std::thread::current().name().unwrap_or("a-test").replace("::", "-");
            let picture = self.driver.ask("GET", "/screenshot", &Value::Null);
            let kept = picture.map(|picture| looks::keep(&format!("failed-{name}"), &picture));
            eprintln!("the browser's log: {:#?}\nthe page: {kept:?}", self.driver.log("browser"));
            return;
        }
        let faults = self.faults();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
