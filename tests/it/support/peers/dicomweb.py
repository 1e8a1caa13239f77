"""A DICOMweb client that looks at everything: by dicomweb-client, judged by pydicom.

`dicomweb.py URL TOKEN walk` goes through all that is held, `render` looks at pictures of it, `store FILE...` brings files in. Both speak JSON on standard
output; see dicomweb.rs, which calls this.
"""

import json
import math
import subprocess
import sys
import warnings
from io import BytesIO
from xml.etree import ElementTree

import numpy
import pydicom
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session

warnings.simplefilter("ignore")


def main():
    url, token, what = sys.argv[1:4]
    session = create_session()
    session.headers["Authorization"] = f"Bearer {token}"
    client = DICOMwebClient(url=url, session=session)
    # It calls us by our name without the port, and addresses in answers are made of what we are called.
    client.host = f"{client.host}:{url.split(':')[2].split('/')[0]}"
    if what == "walk":
        answer = walk(client)
    elif what == "native":
        answer = native(client, sys.argv[4:])
    elif what == "render":
        answer = render(client)
    elif what == "store":
        answer = store(client, sys.argv[4:])
    else:
        raise SystemExit(f"what is `{what}`?")
    json.dump(answer, sys.stdout)


def walk(client):
    seen = {"studies": {}, "wrong": [], "metadata": 0, "frames": 0, "bulk": 0}
    for study in pages(client.search_for_studies, 7):
        uid = study["0020000D"]["Value"][0]
        series = client.search_for_series(uid)
        instances = client.search_for_instances(uid)
        files = {str(file.SOPInstanceUID): file for file in client.retrieve_study(uid)}
        told = {one["00080018"]["Value"][0]: one for one in client.retrieve_study_metadata(uid)}
        if not (set(files) == set(told) == {one["00080018"]["Value"][0] for one in instances}):
            seen["wrong"].append(f"{uid}: {sorted(files)} {sorted(told)}")
        counts = [study["00201206"]["Value"][0], study["00201208"]["Value"][0]]
        if counts != [len(series), len(instances)]:
            seen["wrong"].append(f"{uid}: counts {counts}, {len(series)} series, {len(instances)} instances")
        seen["studies"][uid] = {one["0020000E"]["Value"][0]: one["00201209"]["Value"][0] for one in series}
        for instance, file in files.items():
            if instance in told:
                compare(client, f"{instance}", file, told[instance], seen)
                seen["metadata"] += 1
            frames(client, uid, instance, file, seen)
    return seen


def pages(search, size):
    """All answers, a page at a time, by offset."""
    found, offset = [], 0
    while page := search(limit=size, offset=offset):
        found += page
        offset += len(page)
    return found


def compare(client, where, dataset, told, seen):
    """What was told of a data set against what pydicom says of it."""
    mine = set(told) - {"00080005"}
    pixels = 0x7FE00010
    theirs = {f"{int(tag):08X}" for tag in dataset.keys() if tag.element and int(tag) <= pixels} - {"00080005"}
    if mine != theirs:
        seen["wrong"].append(f"{where}: elements {sorted(mine ^ theirs)}")
    for key in sorted(mine & theirs):
        element, one = dataset[key], told[key]
        if one["vr"] == "UN" and element.tag.is_private:
            # pydicom knows some makers' own attributes that are sent without a value representation.
            continue
        if one["vr"] == "SQ":
            items = one.get("Value", [])
            if element.VR != "SQ" or len(items) != len(element.value):
                seen["wrong"].append(f"{where} {key}: {len(items)} items")
                continue
            for number, (item, ours) in enumerate(zip(element.value, items)):
                compare(client, f"{where} {key}[{number}]", item, ours, seen)
        elif "BulkDataURI" in one:
            if key != "7FE00010":
                bulk(client, where, key, element, one, seen)
        else:
            try:
                expected = element.to_json_dict(None, 1 << 40)
            except ValueError:
                # A sample with a number that is none: pydicom has no JSON for it.
                continue
            if not same(expected, one):
                seen["wrong"].append(f"{where} {key}: {json.dumps(one)} is not {json.dumps(expected)}")


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        # An empty name is one without groups.
        return all(same(a.get(key), b.get(key)) for key in set(a) | set(b) if a.get(key) or b.get(key))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, float) or isinstance(b, float):
        try:
            return math.isclose(float(a), float(b)) or (math.isnan(float(a)) and math.isnan(float(b)))
        except (TypeError, ValueError):
            return False
    if isinstance(a, str) and isinstance(b, str):
        # Spaces at the end mean nothing (PS3.5 §6.2), before a backslash too.
        return a.rstrip(" ") == b.rstrip(" ")
    return a == b or (not a and not b)


def bulk(client, where, key, element, one, seen):
    got = b"".join(client.retrieve_bulkdata(one["BulkDataURI"]))
    value = element.value
    if isinstance(value, bytes):
        seen["bulk"] += 1
        if got.rstrip(b"\0") != value.rstrip(b"\0"):
            seen["wrong"].append(f"{where} {key}: {len(got)} bytes are not the {len(value)} that are held")


def frames(client, study, instance, file, seen):
    """Frames against the pixel data of the file."""
    if "PixelData" not in file:
        return
    try:
        count = int(file.get("NumberOfFrames", 1) or 1)
    except ValueError:
        # The same sample: nobody knows how many there are.
        return
    syntax = file.file_meta.TransferSyntaxUID
    numbers = sorted({1, count})
    url = f"{client.base_url}/studies/{study}/series/{file.SeriesInstanceUID}/instances/{instance}/frames"
    headers = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    response = client._session.get(f"{url}/{','.join(map(str, numbers))}", headers=headers)
    if response.status_code != 200:
        seen["wrong"].append(f"{instance}: frames: {response.status_code} {response.text}")
        return
    got = [part for part in client._decode_multipart_message(response, stream=False)]
    if syntax.is_encapsulated:
        generate = pydicom.encaps.generate_frames(file.PixelData, number_of_frames=count)
        expected = list(generate)
    else:
        pixels = file.PixelData
        if not syntax.is_little_endian and file.BitsAllocated == 16:
            pixels = numpy.frombuffer(pixels, ">u2").astype("<u2").tobytes()
        size = len(pixels) // count
        expected = [pixels[n * size : (n + 1) * size] for n in range(count)]
    for number, part in zip(numbers, got):
        seen["frames"] += 1
        one = expected[number - 1]
        if part != one and part != one[: len(part)]:
            seen["wrong"].append(f"{instance}: frame {number} of {syntax}: {len(part)} bytes, {len(one)} are held")
        if not part:
            seen["wrong"].append(f"{instance}: frame {number} is empty")


MODEL = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def native(client, paths):
    """What is told of files in XML against what `dcm2xml` makes of them."""
    seen = {"wrong": [], "elements": 0}
    for path in paths:
        file = pydicom.dcmread(path, stop_before_pixels=True)
        url = f"{client.base_url}/studies/{file.StudyInstanceUID}/series/{file.SeriesInstanceUID}"
        url += f"/instances/{file.SOPInstanceUID}/metadata"
        headers = {"Accept": 'multipart/related; type="application/dicom+xml"'}
        response = client._session.get(url, headers=headers)
        parts = [part for part in client._decode_multipart_message(response, stream=False)]
        command = ["dcm2xml", "-q", "--native-format", "+U8", path]
        made = subprocess.run(command, capture_output=True, check=True).stdout
        ours, theirs = ElementTree.fromstring(parts[0]), ElementTree.fromstring(made)
        unlike(f"{file.SOPInstanceUID}", ours, theirs, seen)
    return seen


def unlike(where, ours, theirs, seen):
    """What differs in two data sets or items; values that are fetched or written otherwise are passed over."""

    def attributes(of, space):
        found = {}
        for one in of.findall(f"{space}DicomAttribute"):
            key = (one.get("tag"), one.get("privateCreator"))
            # File Meta and group lengths are not told, and nothing behind the pixel data. `dcm2xml` always names the
            # character set that it makes.
            passed = key[0].startswith("0002") or key[0].endswith("0000") or key[0] == "00080005"
            if not passed and key[0] <= "7FE00010":
                found[key] = one
        return found

    mine, expected = attributes(ours, MODEL), attributes(theirs, "")
    if set(mine) != set(expected):
        seen["wrong"].append(f"{where}: {sorted(set(mine) ^ set(expected), key=str)}")
    for key in set(mine) & set(expected):
        one, other = mine[key], expected[key]
        seen["elements"] += 1
        named = [(of.get("vr"), of.get("keyword")) for of in (one, other)]
        # It does not know the keywords of what is retired.
        retired = named[1][1] is None and int(key[0][3], 16) % 2 == 0
        same = named[0][0] == named[1][0] and (retired or named[0][1] == named[1][1])
        if not same and "UN" not in (named[0][0], named[1][0]):
            seen["wrong"].append(f"{where} {key}: {named}")
        items = one.findall(f"{MODEL}Item"), other.findall("Item")
        if len(items[0]) != len(items[1]):
            seen["wrong"].append(f"{where} {key}: {len(items[0])} items, not {len(items[1])}")
        for number, pair in enumerate(zip(*items)):
            unlike(f"{where} {key}[{number}]", *pair, seen)
        if named[0][0] in ("SQ", "UN", "OB", "OW", "OF", "OD", "OL") or one.find(f"{MODEL}BulkData") is not None:
            continue
        values = leaves(one), leaves(other)
        if values[0] != values[1]:
            seen["wrong"].append(f"{where} {key}: {values[0]} is not {values[1]}")


def leaves(of):
    """All texts below an element with the way to them; numbers as such."""
    found = []
    for one in of.iter():
        text = (one.text or "").strip()
        if text and not len(one):
            number = text
            try:
                number = round(float(text), 4)
            except ValueError:
                pass
            found.append((one.tag.replace(MODEL, ""), one.get("number"), number))
    return found


def render(client):
    """The first bytes of pictures of every image, by who is asked and what for."""
    seen = []
    for one in client.search_for_instances():
        study, series, instance = (one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        for kind in ("image/png", "image/jpeg"):
            whole = client.retrieve_instance_rendered(study, series, instance, media_types=(kind,), params={"viewport": "16,16"})
            frames = client.retrieve_instance_frames_rendered(study, series, instance, [1], media_types=(kind,))
            seen.append([kind, whole[:26].hex(), frames[:26].hex()])
    return seen


def store(client, paths):
    files = [pydicom.dcmread(path, force=True) for path in paths]
    response = client.store_instances(files)
    told = {keyword: [] for keyword in ("ReferencedSOPSequence", "FailedSOPSequence")}
    for keyword, found in told.items():
        found += [str(item.ReferencedSOPInstanceUID) for item in response.get(keyword, [])]
    return told


if __name__ == "__main__":
    main()
