//! What a SOP class says of its objects (PS3.6 annex A).

use dicom_core::dictionary::UidDictionary;
use dicom_dictionary_std::StandardSopClassDictionary;

/// Whether the objects of a SOP class are images: then their pixel data are not optional (PS3.3 §C.7.6.3). Of a private
/// class nobody knows.
pub fn is_image_class(class: &str) -> bool {
    StandardSopClassDictionary.by_uid(class).is_some_and(|entry| entry.name.contains("Image Storage"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_and_documents_are_none() {
        for image in ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.1.2.1"] {
            assert!(is_image_class(image), "{image}");
        }
        for other in ["1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.113619.4.26", ""] {
            assert!(!is_image_class(other), "{other}");
        }
    }
}
