-- Whoever has no name, or no accession number, has a place in these orders as well: before all others.
INSERT OR IGNORE INTO patient_names (folded, patient) SELECT '', id FROM patients WHERE replace(name_folded, '=', '') = '';
DROP INDEX studies_accession;
CREATE INDEX studies_accession ON studies (accession_number);
