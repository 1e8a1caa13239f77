//! Which attributes say whose an object is, and of which study: what is the destination's after a move, what is the
//! object's own, and what nobody's (PS3.3 C.7.1.1, C.7.1.3, C.7.2.1 to C.7.2.3).

#![expect(deprecated, reason = "old archives hold attributes that have been retired since")]

use crate::dicom::{Tag, tags};

/// The Patient Module, Clinical Trial Subject and what tells of a de-identification: the destination's, whole.
pub(super) const PATIENT: &[Tag] = &[
    tags::REFERENCED_PATIENT_SEQUENCE,
    tags::PATIENT_NAME,
    tags::PERSON_NAMES_TO_USE_SEQUENCE,
    tags::NAME_TO_USE,
    tags::NAME_TO_USE_COMMENT,
    tags::THIRD_PERSON_PRONOUNS_SEQUENCE,
    tags::PRONOUN_CODE_SEQUENCE,
    tags::PRONOUN_COMMENT,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::TYPE_OF_PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    tags::SOURCE_PATIENT_GROUP_IDENTIFICATION_SEQUENCE,
    tags::GROUP_OF_PATIENTS_IDENTIFICATION_SEQUENCE,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_BIRTH_TIME,
    tags::PATIENT_BIRTH_DATE_IN_ALTERNATIVE_CALENDAR,
    tags::PATIENT_DEATH_DATE_IN_ALTERNATIVE_CALENDAR,
    tags::PATIENT_ALTERNATIVE_CALENDAR,
    tags::PATIENT_SEX,
    tags::GENDER_IDENTITY_SEQUENCE,
    tags::GENDER_IDENTITY_CODE_SEQUENCE,
    tags::GENDER_IDENTITY_COMMENT,
    tags::PATIENT_INSURANCE_PLAN_CODE_SEQUENCE,
    tags::PATIENT_PRIMARY_LANGUAGE_CODE_SEQUENCE,
    tags::PATIENT_PRIMARY_LANGUAGE_MODIFIER_CODE_SEQUENCE,
    tags::QUALITY_CONTROL_SUBJECT,
    tags::QUALITY_CONTROL_SUBJECT_TYPE_CODE_SEQUENCE,
    tags::STRAIN_DESCRIPTION,
    tags::STRAIN_NOMENCLATURE,
    tags::STRAIN_STOCK_SEQUENCE,
    tags::STRAIN_ADDITIONAL_INFORMATION,
    tags::STRAIN_CODE_SEQUENCE,
    tags::GENETIC_MODIFICATIONS_SEQUENCE,
    tags::OTHER_PATIENT_I_DS,
    tags::OTHER_PATIENT_NAMES,
    tags::OTHER_PATIENT_I_DS_SEQUENCE,
    tags::PATIENT_BIRTH_NAME,
    tags::PATIENT_ADDRESS,
    tags::INSURANCE_PLAN_IDENTIFICATION,
    tags::PATIENT_MOTHER_BIRTH_NAME,
    tags::MILITARY_RANK,
    tags::BRANCH_OF_SERVICE,
    tags::MEDICAL_RECORD_LOCATOR,
    tags::REFERENCED_PATIENT_PHOTO_SEQUENCE,
    tags::COUNTRY_OF_RESIDENCE,
    tags::REGION_OF_RESIDENCE,
    tags::PATIENT_TELEPHONE_NUMBERS,
    tags::PATIENT_TELECOM_INFORMATION,
    tags::ETHNIC_GROUP,
    tags::ETHNIC_GROUP_CODE_SEQUENCE,
    tags::ETHNIC_GROUPS,
    tags::PATIENT_RELIGIOUS_PREFERENCE,
    tags::PATIENT_SPECIES_DESCRIPTION,
    tags::PATIENT_SPECIES_CODE_SEQUENCE,
    tags::PATIENT_BREED_DESCRIPTION,
    tags::PATIENT_BREED_CODE_SEQUENCE,
    tags::BREED_REGISTRATION_SEQUENCE,
    tags::RESPONSIBLE_PERSON,
    tags::RESPONSIBLE_PERSON_ROLE,
    tags::RESPONSIBLE_ORGANIZATION,
    tags::PATIENT_COMMENTS,
    tags::CLINICAL_TRIAL_SPONSOR_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_NAME,
    tags::ISSUER_OF_CLINICAL_TRIAL_PROTOCOL_ID,
    tags::OTHER_CLINICAL_TRIAL_PROTOCOL_I_DS_SEQUENCE,
    tags::CLINICAL_TRIAL_SITE_ID,
    tags::CLINICAL_TRIAL_SITE_NAME,
    tags::ISSUER_OF_CLINICAL_TRIAL_SITE_ID,
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::ISSUER_OF_CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::ISSUER_OF_CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_ETHICS_COMMITTEE_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ETHICS_COMMITTEE_APPROVAL_NUMBER,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
];

/// The Patient Study Module: what the patient was like at the time. The same patient's is kept; of another one nothing
/// of it is known.
pub(super) const PATIENT_STUDY: &[Tag] = &[
    tags::ADMITTING_DIAGNOSES_DESCRIPTION,
    tags::ADMITTING_DIAGNOSES_CODE_SEQUENCE,
    tags::SEX_PARAMETERS_FOR_CLINICAL_USE_CATEGORY_COMMENT,
    tags::SEX_PARAMETERS_FOR_CLINICAL_USE_CATEGORY_SEQUENCE,
    tags::SEX_PARAMETERS_FOR_CLINICAL_USE_CATEGORY_CODE_SEQUENCE,
    tags::SEX_PARAMETERS_FOR_CLINICAL_USE_CATEGORY_REFERENCE,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_SIZE_CODE_SEQUENCE,
    tags::PATIENT_BODY_MASS_INDEX,
    tags::MEASURED_AP_DIMENSION,
    tags::MEASURED_LATERAL_DIMENSION,
    tags::PATIENT_WEIGHT,
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
    tags::OCCUPATION,
    tags::SMOKING_STATUS,
    tags::ADDITIONAL_PATIENT_HISTORY,
    tags::PREGNANCY_STATUS,
    tags::LAST_MENSTRUAL_DATE,
    tags::PATIENT_SEX_NEUTERED,
    tags::REASON_FOR_VISIT,
    tags::REASON_FOR_VISIT_CODE_SEQUENCE,
    tags::REFERENCED_PATIENT_ALIAS_SEQUENCE,
    tags::REFERENCED_VISIT_SEQUENCE,
    tags::VISIT_STATUS_ID,
    tags::ADMISSION_ID,
    tags::ISSUER_OF_ADMISSION_ID,
    tags::ISSUER_OF_ADMISSION_ID_SEQUENCE,
    tags::ROUTE_OF_ADMISSIONS,
    tags::ADMITTING_DATE,
    tags::ADMITTING_TIME,
    tags::DISCHARGE_DATE,
    tags::DISCHARGE_TIME,
    tags::DISCHARGE_DIAGNOSIS_DESCRIPTION,
    tags::DISCHARGE_DIAGNOSIS_CODE_SEQUENCE,
    tags::SPECIAL_NEEDS,
    tags::SERVICE_EPISODE_ID,
    tags::ISSUER_OF_SERVICE_EPISODE_ID,
    tags::SERVICE_EPISODE_DESCRIPTION,
    tags::ISSUER_OF_SERVICE_EPISODE_ID_SEQUENCE,
    tags::PERTINENT_DOCUMENTS_SEQUENCE,
    tags::PERTINENT_RESOURCES_SEQUENCE,
    tags::CURRENT_PATIENT_LOCATION,
    tags::PATIENT_INSTITUTION_RESIDENCE,
    tags::PATIENT_STATE,
    tags::PATIENT_CLINICAL_TRIAL_PARTICIPATION_SEQUENCE,
    tags::VISIT_COMMENTS,
];

/// General Study and Clinical Trial Study but for Study Instance UID: the destination's.
pub(super) const STUDY: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::REFERRING_PHYSICIAN_ADDRESS,
    tags::REFERRING_PHYSICIAN_TELEPHONE_NUMBERS,
    tags::REFERRING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::CONSULTING_PHYSICIAN_NAME,
    tags::CONSULTING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::STUDY_DESCRIPTION,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::PHYSICIANS_OF_RECORD,
    tags::PHYSICIANS_OF_RECORD_IDENTIFICATION_SEQUENCE,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::PHYSICIANS_READING_STUDY_IDENTIFICATION_SEQUENCE,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::CLINICAL_TRIAL_TIME_POINT_ID,
    tags::CLINICAL_TRIAL_TIME_POINT_DESCRIPTION,
    tags::LONGITUDINAL_TEMPORAL_OFFSET_FROM_EVENT,
    tags::LONGITUDINAL_TEMPORAL_EVENT_TYPE,
    tags::CLINICAL_TRIAL_TIME_POINT_TYPE_CODE_SEQUENCE,
    tags::ISSUER_OF_CLINICAL_TRIAL_TIME_POINT_ID,
    tags::CONSENT_FOR_CLINICAL_TRIAL_USE_SEQUENCE,
    tags::STUDY_ID,
    tags::STUDY_ID_ISSUER,
    tags::REASON_FOR_STUDY,
    tags::REQUESTING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::REQUESTING_PHYSICIAN,
    tags::REQUESTING_SERVICE,
    tags::REQUESTING_SERVICE_CODE_SEQUENCE,
    tags::STUDY_COMMENTS,
    tags::REASON_FOR_PERFORMED_PROCEDURE_CODE_SEQUENCE,
];

/// The order: the destination's if it has exactly one, never the old one.
pub(super) const ORDER: &[Tag] = &[
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
    tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
];

/// What points to the old order or the old procedure step, and has nothing to be replaced by.
pub(super) const GONE: &[Tag] = &[
    tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
    tags::REQUESTED_PROCEDURE_ID,
    tags::REASON_FOR_THE_REQUESTED_PROCEDURE,
    tags::REASON_FOR_REQUESTED_PROCEDURE_CODE_SEQUENCE,
    tags::REASON_FOR_THE_IMAGING_SERVICE_REQUEST,
    tags::PLACER_ORDER_NUMBER_PROCEDURE,
    tags::FILLER_ORDER_NUMBER_PROCEDURE,
    tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
    tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
    tags::REFERENCED_REQUEST_SEQUENCE,
];

/// What people call an attribute that the dictionary has a name for: the words of its keyword.
pub(super) fn name_of(tag: Tag) -> String {
    let Some(keyword) = crate::dataset::keyword(tag) else { return tag.to_string() };
    let mut name = String::with_capacity(keyword.len() + 4);
    let letters: Vec<char> = keyword.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let begins = before.is_some_and(|before| before.is_lowercase())
            || (before.is_some() && letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if letter.is_uppercase() && begins {
            name.push(' ');
        }
        name.push(*letter);
    }
    name.replace("I Ds", "IDs")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_attribute_stands_in_one_list() {
        let mut seen = HashSet::new();
        let mut last;
        for list in [PATIENT, PATIENT_STUDY, STUDY, ORDER, GONE] {
            last = seen.len();
            seen.extend(list.iter().copied());
            assert_eq!(seen.len(), last + list.len());
        }
        // What the objects keep: series, equipment, times of acquisition, frame of reference, body part.
        for kept in [
            tags::SERIES_INSTANCE_UID,
            tags::SERIES_DESCRIPTION,
            tags::ACQUISITION_DATE,
            tags::SERIES_DATE,
            tags::CONTENT_DATE,
            tags::FRAME_OF_REFERENCE_UID,
            tags::SYNCHRONIZATION_FRAME_OF_REFERENCE_UID,
            tags::IRRADIATION_EVENT_UID,
            tags::DEVICE_UID,
            tags::TRACKING_UID,
            tags::CONCATENATION_UID,
            tags::DIMENSION_ORGANIZATION_UID,
            tags::CLINICAL_TRIAL_SERIES_ID,
            tags::ANATOMICAL_ORIENTATION_TYPE,
            tags::PERFORMED_PROCEDURE_STEP_ID,
            tags::MANUFACTURER,
        ] {
            assert!(!seen.contains(&kept), "{kept}");
        }
    }

    #[test]
    fn attributes_are_called_by_their_words() {
        assert_eq!(name_of(tags::PATIENT_BIRTH_DATE), "Patient Birth Date");
        assert_eq!(name_of(tags::ISSUER_OF_PATIENT_ID), "Issuer Of Patient ID");
        assert_eq!(name_of(tags::OTHER_PATIENT_I_DS_SEQUENCE), "Other Patient IDs Sequence");
        assert_eq!(name_of(Tag(0x0011, 0x1001)), Tag(0x0011, 0x1001).to_string());
    }
}
