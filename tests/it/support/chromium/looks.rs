//! How a page looks: light and dark, on a desk and on a telephone, to axe-core (WCAG 2.2 AA) and as a picture.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Chromium;

/// The widths that pages are made for.
const WIDTHS: [u32; 2] = [1280, 390];
/// The longest picture.
const LONGEST: u64 = 3000;

/// Asks axe-core for everything up to WCAG 2.2 AA, and for what it counts as good practice.
const AXE: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }).then(
        (found) => done(found.violations.map((rule) => rule.id + ': ' + rule.help + ': '
            + rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary).join(' | '))),
        (error) => done(['axe-core fails: ' + error]));";

/// What is wider than the page.
const WIDER: &str = "
    const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    return [...document.querySelectorAll('body *')]
        .filter((element) => element.getBoundingClientRect().right > page.clientWidth + 1
            && !element.parentElement.closest('.scroll'))
        .slice(0, 3)
        .map((element) => 'wider than the page: ' + element.outerHTML.slice(0, 200));";

impl Chromium {
    /// Looks at the page as it is now in every way; what is wrong with it. The pictures are kept under this name.
    pub(crate) fn look(&self, name: &str) -> Vec<String> {
        self.driver.must("POST", "/execute/sync", &json!({ "script": axe(), "args": [] }));
        self.seen(name, || self.driver.must("POST", "/execute/async", &json!({ "script": AXE, "args": [] })))
    }

    /// The same without axe-core, which takes minutes for a page of thousands of lines.
    pub(crate) fn look_only(&self, name: &str) -> Vec<String> {
        self.seen(name, || json!([]))
    }

    /// What of these reaches beyond the right edge of a page of this width.
    pub(crate) fn reach(&self, width: u32, what: &str) -> String {
        let screen = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.driver.devtools("Emulation.setDeviceMetricsOverride", screen);
        let script = format!(
            "return [...document.querySelectorAll({})]
                .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth)
                .map((element) => element.outerHTML.slice(0, 200)).join(' | ')",
            json!(what)
        );
        let beyond = self.run(&script);
        self.driver.devtools("Emulation.clearDeviceMetricsOverride", json!({}));
        beyond.as_str().expect("a text").to_owned()
    }

    fn seen(&self, name: &str, axe: impl Fn() -> Value) -> Vec<String> {
        let mut faults = Vec::new();
        for width in WIDTHS {
            let screen = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
            self.driver.devtools("Emulation.setDeviceMetricsOverride", screen);
            for theme in ["light", "dark"] {
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
                self.driver.devtools("Emulation.setEmulatedMedia", media);
                let found = [axe(), self.run(WIDER)];
                let found = found.iter().flat_map(|list| list.as_array().expect("a list"));
                let picture = self.picture();
                let kept = keep(&format!("{name}-{width}-{theme}"), &picture);
                faults.extend(found.map(|fault| format!("{}: {}", kept.display(), fault.as_str().unwrap_or_default())));
            }
        }
        self.driver.devtools("Emulation.clearDeviceMetricsOverride", json!({}));
        self.driver.devtools("Emulation.setEmulatedMedia", json!({ "features": [] }));
        faults
    }

    /// The whole page, as far as a picture goes.
    fn picture(&self) -> Value {
        let size = self.driver.devtools("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let height = size["height"].as_f64().map_or(LONGEST, |height| (height as u64).clamp(1, LONGEST));
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        self.driver.devtools("Page.captureScreenshot", wanted)["data"].clone()
    }
}

/// Keeps a picture that came as base64; where.
pub(super) fn keep(name: &str, picture: &Value) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    let file = folder.join(format!("{name}.png"));
    let bytes = STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
    std::fs::write(&file, bytes).expect("a picture on disk");
    file
}

/// The script of axe-core.
fn axe() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/axe/axe.min.js");
    std::fs::read_to_string(file).expect("axe-core in target/tools: scripts/test fetches it")
}
