//! What a form, an address or a program asks the Content Manager for.

use serde::Deserialize;

use super::answer::Refused;
use crate::content::{Mode, Request, To, What, Why};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use axum::http::StatusCode;

/// What is to be moved, where to, and what was confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    /// Series that are moved.
    pub(super) series: Vec<String>,
    /// Or single objects.
    pub(super) instances: Vec<String>,
    /// Or all of a study.
    pub(super) study: String,
    /// The study that they are in.
    pub(super) from: String,
    /// The study that they go to; empty for a new one.
    pub(super) to: String,
    /// `local` or `iocm`; empty as configured.
    pub(super) mode: String,
    /// A code of the site.
    pub(super) reason: String,
    /// And words.
    pub(super) reason_text: String,
    /// The other patient is the right one.
    pub(super) confirm_patient: bool,
    /// Verified and signed documents may be replaced.
    pub(super) confirm_documents: bool,
    /// Locally, although nodes hold copies.
    pub(super) force_local: bool,
    /// What only refers to the moved objects stays.
    pub(super) leave_companions: bool,
    /// What the plan said that was confirmed; a program that has not asked for one leaves it out.
    pub(super) sheet: String,
    /// A button was pressed that asks for a study to be named.
    #[serde(skip)]
    into: bool,
}

impl Ask {
    /// As a form or an address has it.
    pub(super) fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Ask {
        let (mut ask, mut act) = (Ask::default(), "");
        for (name, value) in pairs {
            let value = value.trim();
            let text = || value.to_owned();
            match name {
                "series" => ask.series.push(text()),
                "instances" => ask.instances.push(text()),
                "study" => ask.study = text(),
                "from" => ask.from = text(),
                "to" => ask.to = text(),
                "mode" => ask.mode = text(),
                "reason" => ask.reason = text(),
                "reason_text" => ask.reason_text = text(),
                "sheet" => ask.sheet = text(),
                "confirm_patient" => ask.confirm_patient = !value.is_empty(),
                "confirm_documents" => ask.confirm_documents = !value.is_empty(),
                "force_local" => ask.force_local = !value.is_empty(),
                "leave_companions" => ask.leave_companions = !value.is_empty(),
                "act" => act = value,
                _ => {}
            }
        }
        ask.pressed(act);
        ask
    }

    /// What the buttons of a study's page mean, whose form says all of it.
    fn pressed(&mut self, act: &str) {
        self.into = matches!(act, "move" | "merge");
        match act {
            "split" => self.to.clear(),
            "merge" => {
                (self.series, self.instances) = (Vec::new(), Vec::new());
                self.study = std::mem::take(&mut self.from);
            }
            _ => {}
        }
    }

    /// What is asked of the engine.
    pub(super) fn request(&self) -> Result<Request, Refused> {
        let bad = |what: &str| Err(Refused::new(StatusCode::BAD_REQUEST, what, ""));
        let what = match (self.series.is_empty(), self.instances.is_empty(), self.study.is_empty()) {
            (false, true, true) => What::Series(self.series.iter().map(|uid| SeriesInstanceUid::new(uid)).collect()),
            (true, false, true) => What::Instances(self.instances.iter().map(|uid| SopInstanceUid::new(uid)).collect()),
            (true, true, false) => What::Study(StudyInstanceUid::new(&self.study)),
            (true, true, true) => return bad("nothing was chosen: tick what is to be moved"),
            _ => return bad("series, objects or a study: one of them"),
        };
        let to = match self.to.as_str() {
            "" if self.into => return bad("no study was named that it should go to"),
            "" => To::New(None),
            uid => To::Study(StudyInstanceUid::new(uid)),
        };
        let mode = match self.mode.as_str() {
            "" => None,
            "local" => Some(Mode::Local),
            "iocm" => Some(Mode::Iocm),
            _ => return bad("the mode is `local` or `iocm`"),
        };
        let mut request = Request::new(what, to);
        request.from = Some(&self.from).filter(|uid| !uid.is_empty()).map(|uid| StudyInstanceUid::new(uid));
        request.mode = mode;
        request.why = Why { code: self.reason.clone(), text: self.reason_text.clone() };
        request.patient_confirmed = self.confirm_patient;
        request.documents_confirmed = self.confirm_documents;
        request.force_local = self.force_local;
        request.companions = !self.leave_companions;
        request.seen = Some(self.sheet.clone()).filter(|sheet| !sheet.is_empty());
        Ok(request)
    }

    /// The choice, and how it is to be done, as fields that a form brings along.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let mut fields: Vec<(&str, &str)> = self.series.iter().map(|uid| ("series", uid.as_str())).collect();
        fields.extend(self.instances.iter().map(|uid| ("instances", uid.as_str())));
        let texts = [("study", &self.study), ("from", &self.from), ("to", &self.to), ("mode", &self.mode)];
        fields.extend(texts.map(|(name, value)| (name, value.as_str())));
        let flags = [("force_local", self.force_local), ("leave_companions", self.leave_companions)];
        fields.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "yes")));
        fields.retain(|(_, value)| !value.is_empty());
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_and_where_to() {
        let ask = Ask::of_pairs([("series", "1.2"), ("series", " 1.3 "), ("from", "1"), ("to", "2"), ("csrf", "x")]);
        let request = ask.request().unwrap();
        let series = vec![SeriesInstanceUid::new("1.2"), SeriesInstanceUid::new("1.3")];
        assert_eq!((request.what, request.to), (What::Series(series), To::Study(StudyInstanceUid::new("2"))));
        assert_eq!(request.from, Some(StudyInstanceUid::new("1")));
        assert!(request.companions && !request.patient_confirmed && request.mode.is_none());
        assert_eq!(ask.fields(), [("series", "1.2"), ("series", "1.3"), ("from", "1"), ("to", "2")]);
        assert_eq!(Ask::of_pairs([("study", "1")]).request().unwrap().to, To::New(None));
        // The buttons of a study's page.
        let form = [("series", "1.2"), ("from", "1"), ("to", "2")];
        let pressed = |act| Ask::of_pairs(form.into_iter().chain([("act", act)])).request().unwrap();
        let merge = pressed("merge");
        assert_eq!((merge.what, merge.from), (What::Study(StudyInstanceUid::new("1")), None));
        assert_eq!((pressed("split").to, pressed("move").to), (To::New(None), To::Study(StudyInstanceUid::new("2"))));
        assert!(Ask::of_pairs([("series", "1.2"), ("from", "1"), ("to", ""), ("act", "move")]).request().is_err());
        for bad in [&[][..], &[("series", "1"), ("study", "2")], &[("study", "1"), ("mode", "maybe")]] {
            assert!(Ask::of_pairs(bad.iter().copied()).request().is_err(), "{bad:?}");
        }
    }
}
