"""Writes a study with everything that refers to images, and a second study with a measurement report, into a folder:
`documents.py FOLDER`. All of it is made up.

S (1.2.3.1) holds the CT series R (1.2.3.1.5) with the images ct1, ct2, ct3, and what refers to them; D (1.2.3.2) holds an
image and a report. Of the documents, some refer to ct1 and ct2 alone, others to ct3 as well.
"""

import struct
import sys
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.3."
S, R, D = ROOT + "1", ROOT + "1.5", ROOT + "2"
FRAME = ROOT + "9"
CLASSES = {
    "ct": "1.2.840.10008.5.1.4.1.1.2",
    "pr": "1.2.840.10008.5.1.4.1.1.11.1",
    "ko": "1.2.840.10008.5.1.4.1.1.88.59",
    "sr": "1.2.840.10008.5.1.4.1.1.88.33",
    "seg": "1.2.840.10008.5.1.4.1.1.66.4",
    "rtss": "1.2.840.10008.5.1.4.1.1.481.3",
}


def main():
    folder = Path(sys.argv[1])
    objects = [ct(S, R, f"ct{n}", f"{R}.{n}", n) for n in (1, 2, 3)] + [ct(D, D + ".5", "ct7", D + ".5.7", 1)]
    objects += [pr("pr-both", 1, (1, 3)), pr("pr-moved", 2, (1, 2))]
    objects += [ko("ko-both", 1, (1, 3)), ko("ko-moved", 2, (1, 2))]
    objects += [seg("seg-moved", 1, (1, 2)), seg("seg-both", 2, (1, 2, 3))]
    objects += [rtss("rtss-both", 1, (1, 3)), rtss("rtss-moved", 2, (1, 2))]
    objects += [
        sr("sr-both", S, 1, [("1", f"{R}.1"), ("3", f"{R}.3")]),
        sr("sr-verified", S, 2, [("2", f"{R}.2"), ("3", f"{R}.3")], verified=True),
        sr("sr-there", D, 3, [("7", D + ".5.7")]),
    ]
    for name, data in objects:
        data.file_meta = FileMetaDataset()
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(folder / f"{name}.dcm", enforce_file_format=True)


def item(**attributes):
    data = Dataset()
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    return data


def code(value, scheme, meaning):
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def patient(kind, study, series, uid, number, modality):
    data = FileDataset(None, {}, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = CLASSES[kind], uid
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.PatientName = "Müller^Hans" if study == S else "Meier^Eva"
    data.PatientID = "4711" if study == S else "4712"
    data.PatientBirthDate, data.PatientSex = "19600101", "M" if study == S else "F"
    data.StudyDate, data.StudyTime, data.StudyID = "20260102", "120000", "1"
    data.AccessionNumber, data.ReferringPhysicianName = "A1", ""
    data.Modality, data.SeriesNumber, data.InstanceNumber = modality, number, number
    data.Manufacturer, data.ManufacturerModelName = "Sample", "Sample"
    data.BodyPartExamined = "HEAD"
    data.DeviceSerialNumber, data.SoftwareVersions = "1", "1"
    data.ContentDate, data.ContentTime = "20260102", "121500"
    return data


def ct(study, series, name, uid, number):
    data = patient("ct", study, series, uid, number, "CT")
    data.SeriesNumber = 1
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = FRAME, ""
    data.PatientPosition, data.AcquisitionNumber, data.KVP = "HFS", 1, "120"
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = [1, 1], 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "HU"
    pixels(data, 16, 1, bytes(2 * 16 * 16))
    if number == 2 and study == S:
        data.SourceImageSequence = Sequence([image(3)])
    return name, data


def pixels(data, bits, frames, content):
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = 16, 16
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits, bits - 1, 0
    if frames > 1:
        data.NumberOfFrames = frames
    data.PixelData = content


def image(number):
    return item(ReferencedSOPClassUID=CLASSES["ct"], ReferencedSOPInstanceUID=f"{R}.{number}")


def named(uid):
    return item(ReferencedSOPClassUID=CLASSES["ct"], ReferencedSOPInstanceUID=uid)


def pr(name, number, images):
    data = patient("pr", S, S + ".11", f"{S}.11.{number}", number, "PR")
    data.ContentLabel, data.ContentDescription, data.ContentCreatorName = "NOTE", "", ""
    data.PresentationCreationDate, data.PresentationCreationTime = "20260102", "121500"
    listed = Sequence([image(n) for n in images])
    data.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=R, ReferencedImageSequence=listed)])
    data.PresentationLUTShape = "IDENTITY"
    area = item(DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[16, 16])
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    area.ReferencedImageSequence = Sequence([image(n) for n in images])
    data.DisplayedAreaSelectionSequence = Sequence([area])
    data.GraphicLayerSequence = Sequence([item(GraphicLayer="L", GraphicLayerOrder=1)])
    notes = []
    for n in images:
        text = item(UnformattedTextValue=f"note {n}", AnchorPointAnnotationUnits="PIXEL", AnchorPoint=[4, 4])
        text.AnchorPointVisibility = "N"
        note = item(GraphicLayer="L", TextObjectSequence=Sequence([text]))
        note.ReferencedImageSequence = Sequence([image(n)])
        notes.append(note)
    data.GraphicAnnotationSequence = Sequence(notes)
    return name, data


def evidence(study, series, uids):
    objects = Sequence([named(uid) for uid in uids])
    of_series = item(SeriesInstanceUID=series, ReferencedSOPSequence=objects)
    return Sequence([item(StudyInstanceUID=study, ReferencedSeriesSequence=Sequence([of_series]))])


def content(relation, kind, name=None, **attributes):
    data = item(RelationshipType=relation, ValueType=kind, **attributes)
    if name:
        data.ConceptNameCodeSequence = code(*name)
    return data


def shows(relation, uid):
    return content(relation, "IMAGE", ReferencedSOPSequence=Sequence([named(uid)]))


def ko(name, number, images):
    data = patient("ko", S, S + ".12", f"{S}.12.{number}", number, "KO")
    data.ReferencedPerformedProcedureStepSequence = Sequence([])
    data.CurrentRequestedProcedureEvidenceSequence = evidence(S, R, [f"{R}.{n}" for n in images])
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = code("113000", "DCM", "Of Interest")
    data.ContentTemplateSequence = Sequence([item(MappingResource="DCMR", TemplateIdentifier="2010")])
    data.ContentSequence = Sequence([shows("CONTAINS", f"{R}.{n}") for n in images])
    return name, data


def sr(name, study, number, images, verified=False):
    data = patient("sr", study, study + ".13", f"{study}.13.{number}", number, "SR")
    data.ReferencedPerformedProcedureStepSequence = Sequence([])
    data.PerformedProcedureCodeSequence = Sequence([])
    data.CompletionFlag, data.VerificationFlag = "COMPLETE", "UNVERIFIED"
    if verified:
        data.VerificationFlag = "VERIFIED"
        observer = item(VerifyingObserverName="Doe^Jane", VerifyingOrganization="Sample")
        observer.VerificationDateTime, observer.VerifyingObserverIdentificationCodeSequence = "20260102130000", Sequence([])
        data.VerifyingObserverSequence = Sequence([observer])
    series = R if study == S else D + ".5"
    data.CurrentRequestedProcedureEvidenceSequence = evidence(study, series, [uid for _, uid in images])
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = code("126000", "DCM", "Imaging Measurement Report")
    data.ContentTemplateSequence = Sequence([item(MappingResource="DCMR", TemplateIdentifier="1500")])
    procedure = content("HAS CONCEPT MOD", "CODE", ("121058", "DCM", "Procedure reported"))
    procedure.ConceptCodeSequence = code("25045-6", "LN", "Unspecified CT")
    groups = Sequence([group(tracking, uid) for tracking, uid in images])
    measurements = content("CONTAINS", "CONTAINER", ("126010", "DCM", "Imaging Measurements"), ContentSequence=groups)
    measurements.ContinuityOfContent = "SEPARATE"
    if len(images) > 1:
        # The ratio of the lengths, inferred from both by position.
        ratio = number_item("122401", "Ratio", "1", [])
        ratio.ContentSequence = Sequence([inferred([1, 2, n, 3]) for n in range(1, len(images) + 1)])
        last = content("CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), ContinuityOfContent="SEPARATE")
        last.ContentSequence = Sequence([tracked("ratio"), ratio])
        groups.append(last)
    data.ContentSequence = Sequence([procedure, measurements])
    return name, data


def inferred(path):
    data = item(RelationshipType="INFERRED FROM")
    data.ReferencedContentItemIdentifier = path
    return data


def tracked(name):
    return content("HAS OBS CONTEXT", "TEXT", ("112039", "DCM", "Tracking Identifier"), TextValue=f"lesion {name}")


def number_item(value, meaning, quantity, children):
    data = content("CONTAINS", "NUM", (value, "DCM", meaning))
    unit = code("mm", "UCUM", "mm") if meaning != "Ratio" else code("1", "UCUM", "no units")
    data.MeasuredValueSequence = Sequence([item(NumericValue=quantity, MeasurementUnitsCodeSequence=unit)])
    if children:
        data.ContentSequence = Sequence(children)
    return data


def group(name, uid):
    region = content("CONTAINS", "SCOORD", ("111030", "DCM", "Image Region"), GraphicType="POLYLINE")
    region.GraphicData = [1.0, 1.0, 5.0, 5.0]
    region.ContentSequence = Sequence([shows("SELECTED FROM", uid)])
    data = content("CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), ContinuityOfContent="SEPARATE")
    data.ContentSequence = Sequence([tracked(name), region, number_item("121206", "Distance", "5.6", [])])
    return data


def seg(name, number, images):
    data = patient("seg", S, S + ".14", f"{S}.14.{number}", number, "SEG")
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = FRAME, ""
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.ContentLabel, data.ContentDescription, data.ContentCreatorName = "SEG", "", ""
    data.SegmentationType, data.LossyImageCompression = "BINARY", "00"
    segment = item(SegmentNumber=1, SegmentLabel="Lesion", SegmentAlgorithmType="MANUAL")
    segment.SegmentedPropertyCategoryCodeSequence = code("49755003", "SCT", "Morphologically Abnormal Structure")
    segment.SegmentedPropertyTypeCodeSequence = code("52988006", "SCT", "Lesion")
    data.SegmentSequence = Sequence([segment])
    data.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=ROOT + "8")])
    index = item(DimensionOrganizationUID=ROOT + "8", DimensionIndexPointer=0x00200032, FunctionalGroupPointer=0x00209113)
    data.DimensionIndexSequence = Sequence([index])
    measures = item(SliceThickness=1, PixelSpacing=[1, 1])
    shared = item(PixelMeasuresSequence=Sequence([measures]))
    shared.PlaneOrientationSequence = Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    shared.SegmentIdentificationSequence = Sequence([item(ReferencedSegmentNumber=1)])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for position, n in enumerate(images, 1):
        source = image(n)
        source.PurposeOfReferenceCodeSequence = code("121322", "DCM", "Source image for image processing operation")
        source.SpatialLocationsPreserved = "YES"
        derivation = item(SourceImageSequence=Sequence([source]))
        derivation.DerivationCodeSequence = code("113076", "DCM", "Segmentation")
        frame = item(DerivationImageSequence=Sequence([derivation]))
        frame.FrameContentSequence = Sequence([item(DimensionIndexValues=[position])])
        frame.PlanePositionSequence = Sequence([item(ImagePositionPatient=[0, 0, n])])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    listed = Sequence([image(n) for n in images])
    data.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=R, ReferencedInstanceSequence=listed)])
    pixels(data, 1, 1, bytes(32 * len(images)))
    data.NumberOfFrames = len(images)
    return name, data


def rtss(name, number, images):
    data = patient("rtss", S, S + ".15", f"{S}.15.{number}", number, "RTSTRUCT")
    del data.ContentDate, data.ContentTime
    data.OperatorsName, data.FrameOfReferenceUID, data.PositionReferenceIndicator = "", FRAME, ""
    data.StructureSetLabel, data.StructureSetDate, data.StructureSetTime = "RT", "20260102", "121500"
    of_series = item(SeriesInstanceUID=R, ContourImageSequence=Sequence([image(n) for n in images]))
    study = item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=S)
    study.RTReferencedSeriesSequence = Sequence([of_series])
    frame = item(FrameOfReferenceUID=FRAME, RTReferencedStudySequence=Sequence([study]))
    data.ReferencedFrameOfReferenceSequence = Sequence([frame])
    roi = item(ROINumber=1, ReferencedFrameOfReferenceUID=FRAME, ROIName="GTV", ROIGenerationAlgorithm="MANUAL")
    data.StructureSetROISequence = Sequence([roi])
    contours = []
    for n in images:
        contour = item(ContourGeometricType="POINT", NumberOfContourPoints=1, ContourData=[1, 1, n])
        contour.ContourImageSequence = Sequence([image(n)])
        contours.append(contour)
    data.ROIContourSequence = Sequence([item(ReferencedROINumber=1, ContourSequence=Sequence(contours))])
    observation = item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="GTV", ROIInterpreter="")
    data.RTROIObservationsSequence = Sequence([observation])
    return name, data


if __name__ == "__main__":
    main()
