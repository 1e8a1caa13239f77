p='src/catalog/corrections/list.rs'; s=open(p).read()
s=s.replace('''    /// Those that a study was source or destination of.
    Study(StudyInstanceUid),
}''','''    /// Those that a study was source or destination of.
    Study(StudyInstanceUid),
    /// Those of which all of this holds, as far as it is said; none that is staged.
    Like(CorrectionLike),
}

/// What operations are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorrectionLike {
    /// The study that was their source or destination.
    pub study: Option<StudyInstanceUid>,
    /// What they are.
    pub kind: Option<CorrectionKind>,
    /// Where they stand.
    pub state: Option<CorrectionState>,
    /// Who did them.
    pub operator: Option<String>,
    /// The code of their reason.
    pub reason: Option<String>,
}''')
a=s.index('        let (which, number, study) = match filter {'); b=s.index('    /// The operation of that number.')
s=s[:a]+'''        let none = CorrectionLike::default();
        let (which, number, like) = match filter {
            CorrectionFilter::All => ("co.state <> 0", 0, none),
            CorrectionFilter::Number(number) => ("co.id = ?3", *number, none),
            CorrectionFilter::Study(study) => (OF_STUDY, 0, CorrectionLike { study: Some(study.clone()), ..none }),
            CorrectionFilter::Like(like) if like.study.is_some() => (OF_STUDY, 0, like.clone()),
            CorrectionFilter::Like(like) => ("co.state <> 0", 0, like.clone()),
        };
        let sql = format!(
            "{COLUMNS} WHERE co.id < ?1 AND {which} AND ?3 IS NOT NULL AND ?4 IS NOT NULL
                AND (?5 IS NULL OR co.kind = ?5) AND (?6 IS NULL OR co.state = ?6)
                AND (?7 IS NULL OR co.operator = ?7) AND (?8 IS NULL OR co.reason = ?8)
             ORDER BY co.id DESC LIMIT ?2"
        );
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let CorrectionLike { study, kind, state, operator, reason } = like;
            let study = study.as_ref().map_or("", |study| study.as_str());
            let asked = params![before.unwrap_or(i64::MAX), limit, number, study, kind, state, operator, reason];
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map(asked, correction)?.collect::<Result<_, _>>()?)
        })
        .await
    }

'''+s[b:]
open(p,'w').write(s)
p='src/catalog/corrections.rs'; s=open(p).read()
s=s.replace('Correction, CorrectionFilter};','Correction, CorrectionFilter, CorrectionLike};')
open(p,'w').write(s)
p='src/catalog.rs'; s=open(p).read()
s=s.replace('CorrectionError, CorrectionFilter, CorrectionKind, CorrectionMode,','CorrectionError, CorrectionFilter, CorrectionKind, CorrectionLike, CorrectionMode,')
open(p,'w').write(s)
p='src/web/corrections.rs'; s=open(p).read()
s=s.replace('use crate::catalog::{Correction, CorrectionFilter, CorrectionState};','use crate::catalog::{Correction, CorrectionFilter, CorrectionKind, CorrectionLike, CorrectionState};')
s=s.replace('''    source: String,
    destination: String,
    moved: u64,
    undone: String,
    may_undo: bool,
}''','''    source: (String, String),
    destination: (String, String),
    moved: u64,
    undone: String,
    may_undo: bool,
}''')
s=s.replace('''        source: correction.source.to_string(),
        destination: correction.destination.to_string(),
        moved''','''        source: linked(&correction.source),
        destination: linked(&correction.destination),
        moved''')
s=s.replace('''    next: Option<i64>,
    study: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    study: String,
''','''    next: Option<String>,
    which: Which,
    kinds: [&'static str; 6],
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct Which {
    study: String,
    kind: String,
    state: String,
    operator: String,
    reason: String,
''')
s=s.replace('''        next,
        study: which.study,
        frame''','''        next: next.map(|next| which.older(next)),
        kinds: KINDS.map(CorrectionKind::word),
        which,
        frame''')
a=s.index('    let filter = match which.study.as_str() {'); b=s.index('    let mut found = web.catalog.corrections')
s=s[:a]+'''    let filter = which.filter()?;
'''+s[b:]
s=s.replace('''pub(super) async fn list(
''','''const KINDS: [CorrectionKind; 6] = [
    CorrectionKind::Reallocate,
    CorrectionKind::Merge,
    CorrectionKind::Split,
    CorrectionKind::Clear,
    CorrectionKind::File,
    CorrectionKind::Discard,
];

impl Which {
    fn filter(&self) -> Result<CorrectionFilter, Refused> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let bad = |what: &str| Refused::new(StatusCode::BAD_REQUEST, what, "");
        let kind = said(&self.kind).map(|word| CorrectionKind::parse(&word).ok_or_else(|| bad("there is no such kind")));
        let state = said(&self.state).map(|word| {
            let known = CorrectionState::parse(&word).filter(|state| *state != CorrectionState::Staged);
            known.ok_or_else(|| bad("the state is `active` or `undone`"))
        });
        Ok(CorrectionFilter::Like(CorrectionLike {
            study: said(&self.study).map(|study| StudyInstanceUid::new(&study)),
            kind: kind.transpose()?,
            state: state.transpose()?,
            operator: said(&self.operator),
            reason: said(&self.reason),
        }))
    }

    fn is_filtered(&self) -> bool {
        [&self.study, &self.kind, &self.state, &self.operator, &self.reason].iter().any(|text| !text.is_empty())
    }

    /// The address of the page behind an operation.
    fn older(&self, before: i64) -> String {
        let texts = [
            ("study", self.study.as_str()),
            ("kind", &self.kind),
            ("state", &self.state),
            ("operator", &self.operator),
            ("reason", &self.reason),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(texts.iter().filter(|(_, text)| !text.is_empty()));
        format!("/corrections?{}", query.append_pair("before", &before.to_string()).finish())
    }
}

/// A study with where it is shown; one without a UID is nowhere.
pub(super) fn linked(uid: &StudyInstanceUid) -> (String, String) {
    match uid.as_str() {
        "" => ("no study".to_owned(), "/quarantine".to_owned()),
        uid => (shown("", uid), study::address(uid)),
    }
}

/// An operation for programs.
pub(super) fn told(correction: &Correction) -> Value {
    json!({
        "operation": correction.id, "kind": correction.kind.word(), "mode": correction.mode.word(),
        "state": correction.state.word(), "at": timestamp(correction.at), "operator": correction.operator,
        "reason": correction.reason, "reason_text": correction.reason_text,
        "source": correction.source.as_str(), "destination": correction.destination.as_str(),
        "moved": correction.moved, "hidden": correction.hidden, "written": correction.written,
        "undone": correction.undone_at.and_then(timestamp), "undone_by": correction.undone_by,
    })
}

pub(super) async fn list(
''',1)
a=s.index('    let told = |correction: &Correction| {'); b=s.index('    Ok(document(json!({ "corrections":')
s=s[:a]+s[b:]
s=s.replace('found.iter().map(told)','found.iter().map(told)')
s=s.replace('use super::study::{self, Named};\n','use super::study::{self, Named};\nuse super::texts::shown;\n')
open(p,'w').write(s)
p='src/web.rs'; s=open(p).read()
s=s.replace('mod corrections;\n','mod correction;\nmod corrections;\n')
s=s.replace('''            .route("/corrections/{id}/undo",''','''            .route("/corrections/{id}", get(correction::show))
            .route("/api/v1/corrections/{id}", get(correction::show_json))
            .route("/corrections/{id}/undo",''',1)
open(p,'w').write(s)
