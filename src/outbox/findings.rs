//! Which objects of a study are findings of the AI platform.
//!
//! A rule looks at the AE title that sent the object to us and at its SOP class, which the catalog knows; and, where it
//! names them, at algorithms and manufacturers in the header as it was filed:
//!
//! - algorithm: Algorithm Name (0066,0036) and Segment Algorithm Name (0062,0009) wherever they are; Manufacturer's Model
//!   Name (0008,1090) of the equipment and of what contributed (0018,A001); Content Creator's Name (0070,0084); in a
//!   structured report the items Algorithm Name (111001, DCM) and Device Observer Name (121013, DCM);
//! - manufacturer: Manufacturer (0008,0070) of the equipment and of what contributed; in a structured report the item
//!   Device Observer Manufacturer (121014, DCM).
//!
//! Equipment is the same within a series. So of each series and SOP class the headers of the first objects are read, and
//! the others are what the last of these is.

use tracing::warn;

use crate::catalog::{Catalog, CatalogError, HeldInstance, Made};
use crate::config::{Ai, AiTraits};
use crate::dataset::{CharacterSet, Tree};
use crate::dicom::{StudyInstanceUid, tags};
use crate::store::Store;

/// Headers that are read of one series and SOP class.
const SAMPLED: usize = 32;
/// What a header may take in memory: segmentations describe every frame.
const LONGEST_HEADER: u64 = 32 << 20;
/// Names that are looked at in one header, and the longest, in characters.
const MOST_NAMES: usize = 1000;
const LONGEST_NAME: usize = 256;

/// The numbers of the objects that a study shows and that are findings of the AI platform.
pub async fn findings(
    catalog: &Catalog,
    store: &Store,
    ai: &Ai,
    study: &StudyInstanceUid,
) -> Result<Vec<i64>, CatalogError> {
    let made = catalog.made(study).await?;
    let mut found = Vec::new();
    for alike in made.chunk_by(|a, b| (a.series, &a.class) == (b.series, &b.class)) {
        let (sampled, others) = alike.split_at(alike.len().min(SAMPLED));
        let traits = traits(catalog, store, ai, sampled).await?;
        let is_finding = |object: &Made, traits: &AiTraits| ai.matches(&object.from, object.class.as_str(), traits);
        found.extend(
            sampled.iter().zip(&traits).filter(|(object, traits)| is_finding(object, traits)).map(|(o, _)| o.id),
        );
        if let Some(last) = traits.last() {
            found.extend(others.iter().filter(|object| is_finding(object, last)).map(|object| object.id));
        }
    }
    Ok(found)
}

/// What the headers of these objects say, in their order; nothing of those that no rule has to be asked about.
async fn traits(catalog: &Catalog, store: &Store, ai: &Ai, objects: &[Made]) -> Result<Vec<AiTraits>, CatalogError> {
    let needed = |object: &&Made| ai.needs_header(&object.from, object.class.as_str());
    let ids: Vec<i64> = objects.iter().filter(needed).map(|object| object.id).collect();
    if ids.is_empty() {
        return Ok(vec![AiTraits::default(); objects.len()]);
    }
    let held = catalog.held(&ids).await?;
    let store = store.clone();
    let read = tokio::task::spawn_blocking(move || {
        let of = |instance: HeldInstance| (instance.id, header(&store, &instance));
        held.into_iter().map(of).collect::<Vec<_>>()
    });
    let read = read.await.unwrap_or_else(|error| {
        warn!(%error, "headers cannot be looked at for findings of the AI platform");
        Vec::new()
    });
    let of = |object: &Made| read.iter().find(|(id, _)| *id == object.id).map(|(_, traits)| traits.clone());
    Ok(objects.iter().map(|object| of(object).unwrap_or_default()).collect())
}

/// What the header of an object says. One that cannot be read says nothing.
fn header(store: &Store, instance: &HeldInstance) -> AiTraits {
    let read = store.open_data_set(&instance.place).map_err(|error| error.to_string()).and_then(|(file, length)| {
        let bytes = std::io::Read::take(file, length);
        Tree::read(bytes, &instance.transfer_syntax, &CharacterSet::ascii(), LONGEST_HEADER)
            .map_err(|error| error.to_string())
    });
    match read {
        Ok(tree) => traits_of(&tree),
        Err(error) => {
            let uid = &instance.instance;
            warn!(sop_instance.uid = %uid, error, "an object cannot be looked at: it is not taken for a finding of the AI platform");
            AiTraits::default()
        }
    }
}

fn traits_of(tree: &Tree) -> AiTraits {
    let mut traits = AiTraits::default();
    for equipment in std::iter::once(tree).chain(tree.items(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)) {
        add(&mut traits.manufacturers, equipment.text(tags::MANUFACTURER));
        add(&mut traits.algorithms, equipment.text(tags::MANUFACTURER_MODEL_NAME));
    }
    add(&mut traits.algorithms, tree.text(tags::CONTENT_CREATOR_NAME));
    // Everything that is nested, without recursion.
    let mut open = vec![tree];
    while let Some(item) = open.pop() {
        add(&mut traits.algorithms, item.text(tags::ALGORITHM_NAME));
        add(&mut traits.algorithms, item.text(tags::SEGMENT_ALGORITHM_NAME));
        let concept = item.items(tags::CONCEPT_NAME_CODE_SEQUENCE).first();
        if concept.and_then(|code| code.text(tags::CODING_SCHEME_DESIGNATOR)) == Some("DCM") {
            match concept.and_then(|code| code.text(tags::CODE_VALUE)) {
                Some("111001" | "121013") => add(&mut traits.algorithms, item.text(tags::TEXT_VALUE)),
                Some("121014") => add(&mut traits.manufacturers, item.text(tags::TEXT_VALUE)),
                _ => {}
            }
        }
        open.extend(item.iter().filter_map(|(_, node)| node.items()).flatten());
    }
    traits
}

/// Each name once.
fn add(names: &mut Vec<String>, name: Option<&str>) {
    let Some(name) = name else { return };
    let name: String = name.chars().take(LONGEST_NAME).collect();
    if names.len() < MOST_NAMES && !names.contains(&name) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::Tag;

    fn with(tag: Tag, text: &str) -> Tree {
        let mut tree = Tree::new();
        tree.put_text(tag, text);
        tree
    }

    fn content_item(code: &str, scheme: &str, text: &str) -> Tree {
        let mut name = with(tags::CODE_VALUE, code);
        name.put_text(tags::CODING_SCHEME_DESIGNATOR, scheme);
        let mut item = with(tags::TEXT_VALUE, text);
        item.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![name]);
        item
    }

    #[test]
    fn algorithms_and_manufacturers_are_found_where_they_are_written() {
        let mut object = with(tags::MANUFACTURER, "Acme ");
        object.put_text(tags::MANUFACTURER_MODEL_NAME, "Acme CT").put_text(tags::CONTENT_CREATOR_NAME, "Lung^AI");
        object.put_items(
            tags::CONTRIBUTING_EQUIPMENT_SEQUENCE,
            vec![with(tags::MANUFACTURER, "Other"), with(tags::MANUFACTURER_MODEL_NAME, "Router")],
        );
        let mut segment = with(tags::SEGMENT_ALGORITHM_NAME, "LungSeg");
        segment.put_items(Tag(0x0062, 0x0007), vec![with(tags::ALGORITHM_NAME, "LungSeg 2")]);
        object.put_items(Tag(0x0062, 0x0002), vec![segment]);
        let deep = content_item("121014", "DCM", "Maker");
        let mut group = content_item("111001", "DCM", "NoduleFinder");
        group.put_items(Tag(0x0040, 0xA730), vec![deep, content_item("111001", "99LOCAL", "not this one")]);
        object.put_items(Tag(0x0040, 0xA730), vec![group, content_item("121013", "DCM", "NoduleFinder")]);
        // Whoever made the images that it was made of is not who made it.
        object.put_items(Tag(0x0018, 0x9506), vec![with(tags::MANUFACTURER, "Scanner")]);
        let mut traits = traits_of(&object);
        traits.algorithms.sort();
        assert_eq!(traits.algorithms, ["Acme CT", "LungSeg", "LungSeg 2", "Lung^AI", "NoduleFinder", "Router"]);
        assert_eq!(traits.manufacturers, ["Acme", "Other", "Maker"]);
        assert_eq!(traits_of(&Tree::new()), AiTraits::default());
    }
}
