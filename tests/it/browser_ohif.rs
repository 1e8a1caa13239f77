//! OHIF, a viewer that is none of ours, in a real browser and on a site of its own: it lists what is here and draws it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::chromium::Chromium;
use crate::support::dicomweb::Program;
use crate::support::peers::{PATIENCE, free_port, until};
use crate::support::ward::{JOHN, Ward, slices, study_uid};
use crate::support::website::Website;

/// What an administrator writes for OHIF; see `src/guide/dicomweb.md`.
const CONFIG: &str = "window.config = {
  routerBasename: '/', modes: [], showStudyList: true, showCPUFallbackMessage: false,
  investigationalUseDialog: { option: 'never' },
  customizationService: [{ 'ohif.tours': { $set: [] } }],
  extensions: [{
    id: 'token',
    preRegistration: ({ servicesManager }) =>
      servicesManager.services.userAuthenticationService.setServiceImplementation({
        getAuthorizationHeader: () => ({ Authorization: 'Bearer TOKEN' }),
      }),
  }],
  defaultDataSourceName: 'pacsferry',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'pacsferry',
    configuration: {
      friendlyName: 'pacsferry', name: 'pacsferry',
      qidoRoot: 'ROOT', wadoRoot: 'ROOT', wadoUriRoot: 'ROOT/wado',
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      qidoSupportsIncludeField: true, supportsFuzzyMatching: true, supportsWildcard: true,
      bulkDataURI: { enabled: true }, omitQuotationForMultipartRequest: true,
    },
  }],
};";

/// How many shades of grey the viewport shows; 0 while it shows nothing.
const SHADES: &str = "
    const canvas = document.querySelector('canvas.cornerstone-canvas');
    if (!canvas || !canvas.width || !canvas.height) return 0;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const shades = new Set();
    for (let at = 0; at < pixels.length; at += 4) shades.add(pixels[at]);
    return shades.size;";

/// What the page has asked of the archive, and how that was answered.
const ASKED: &str = "return performance.getEntriesByType('resource')
    .filter((entry) => entry.name.includes('/dicom-web/')).map((entry) => [entry.name, entry.responseStatus]);";

/// Where `scripts/test` has put it.
fn ohif() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/ohif");
    assert!(folder.join("index.html").is_file(), "OHIF is not in {}: scripts/test fetches it", folder.display());
    folder
}

#[test]
fn ohif_lists_the_studies_and_draws_a_ct() {
    let readers = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";
    let objects: Vec<_> = slices(JOHN, 1, 1, 3)
        .into_iter()
        .zip(1..)
        .map(|(object, number)| {
            let position = ["0".to_owned(), "0".to_owned(), (2 * number).to_string()];
            object
                .with("ImagePositionPatient", position.to_vec())
                .with("ImageOrientationPatient", vec!["1", "0", "0", "0", "1", "0"])
                .with("PixelSpacing", vec!["1", "1"])
                .with("RescaleSlope", "1")
                .with("RescaleIntercept", "0")
        })
        .collect();
    let mut ward = Ward::configured(&objects, readers);
    let port = free_port();
    let site = format!("http://127.0.0.1:{port}");
    ward.set_web(&format!("cors = [\"{site}\"]"));
    let program = Program::new(&ward.ferry, "anna", "readers");
    let config = CONFIG.replace("ROOT", &program.base()).replace("TOKEN", &program.token);
    let _site = Website::start(port, ohif(), "/app-config.js", config);

    let mut chromium = Chromium::open_at(&site);
    chromium.lets_ask(&program.base());
    // What OHIF says of itself, and chromium of a machine without a graphics card and of looking at a canvas.
    for own in ["bundle.", "software WebGL", "GPU stall", "GroupMarkerNotSet", "Multiple readback operations"] {
        chromium.tolerate(own);
    }
    chromium.go("/");
    chromium.shows("Doe, John");
    chromium.shows("Study 1");
    chromium.click("//td[contains(., 'Doe, John')]");
    chromium.click("//button[contains(., 'Basic Viewer')]");
    chromium.arrives(&format!("/viewer?StudyInstanceUIDs={}", study_uid(1)));
    chromium.shows("Series 1");
    let shades = || chromium.run(SHADES).as_u64().unwrap_or(0);
    until("OHIF draws the CT", PATIENCE, || (shades() > 20).then_some(()));
    let asked = until("all slices are fetched", PATIENCE, || {
        let asked = chromium.run(ASKED).as_array().unwrap().clone();
        let frames = asked.iter().filter(|one| one[0].as_str().unwrap().ends_with("/frames/1")).count();
        (frames >= objects.len()).then_some(asked)
    });
    let wrong: Vec<&Value> = asked.iter().filter(|one| one[1] != 200).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(asked.iter().any(|one| one[0].as_str().unwrap().ends_with("/metadata")), "{asked:?}");
    assert_eq!(chromium.run("return crossOriginIsolated"), true, "OHIF may have what it needs to be fast");
    chromium.keep("ohif");
}
