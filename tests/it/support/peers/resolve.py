"""Whether every reference in a folder of objects leads to an object of it, in the study and series that are named:
`resolve.py FOLDER`. Writes a JSON list of what does not."""

import json
import sys
from pathlib import Path

import pydicom

STUDIES = ("StudyInstanceUID", "ReferencedSeriesSequence"), ("ReferencedSOPInstanceUID", "RTReferencedSeriesSequence")


def main():
    files = {path.name: pydicom.dcmread(path) for path in sorted(Path(sys.argv[1]).glob("*.dcm"))}
    places = {d.SOPInstanceUID: (d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPClassUID) for d in files.values()}
    problems = []
    for name, data in files.items():
        own = None if data.Modality == "PR" else data.StudyInstanceUID
        walk(data, own, None, places, lambda what, name=name: problems.append(f"{name}: {what}"), top=True)
    json.dump(problems, sys.stdout)


def walk(data, study, series, places, complain, top=False):
    for element in data:
        if element.VR != "SQ" or element.keyword == "OriginalAttributesSequence":
            continue
        for item in element.value:
            of, within = study, series
            if not top or element.keyword != "ReferencedSeriesSequence":
                of = None if "ReferencedSeriesSequence" not in item and top else of
            if element.keyword == "RTReferencedStudySequence":
                of = item.ReferencedSOPInstanceUID
            elif "StudyInstanceUID" in item:
                of = item.StudyInstanceUID
            if "SeriesInstanceUID" in item:
                within = item.SeriesInstanceUID
            elif top:
                within = None
            uid = item.get("ReferencedSOPInstanceUID")
            if uid is not None and element.keyword != "RTReferencedStudySequence":
                check(element.keyword, item, uid, of, within, places, complain)
            walk(item, of, within, places, complain)


def check(keyword, item, uid, study, series, places, complain):
    if uid not in places:
        complain(f"{keyword}: nothing has the UID {uid}")
        return
    there = places[uid]
    if there[2] != item.ReferencedSOPClassUID:
        complain(f"{keyword}: {uid} is of class {there[2]}")
    if series and there[1] != series:
        complain(f"{keyword}: {uid} is in series {there[1]}, not {series}")
    if series and study and there[0] != study:
        complain(f"{keyword}: {uid} is in study {there[0]}, not {study}")


if __name__ == "__main__":
    main()
