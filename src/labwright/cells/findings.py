"""What can be wrong with time-lapse images and their masks: the codes, their severity, why they matter, what to do.

An *error* sets the item aside: packing goes on without it and training refuses until it is mended. A
*warning* lets the item through; a *note* is only counted. Codes are never given a second meaning.
"""

from __future__ import annotations

from labwright.data.findings import Code, Finding, Unusable, catalogue

CATALOGUE = catalogue(
    # Listing: what the names of the files tell.
    Code(
        "CEL001",
        "error",
        "mask without image",
        "Images and masks are paired by frame number; a mask without its image often means that the numbers of one side are shifted.",
        "Add the image, or move the mask out of the mask folder.",
    ),
    Code(
        "CEL002",
        "error",
        "image without mask",
        "Training, validation and scores need a mask for each image; an image left out unseen would change what the score is about.",
        "Add the mask, name another mask folder with source.masks, or move the frames to a split that needs no labels.",
    ),
    Code(
        "CEL003",
        "error",
        "frame number given twice",
        "Two files of one folder stand for the same frame (t003.tif and t0003.tif), so nothing tells which of them is meant.",
        "Remove or rename one of the two files.",
    ),
    Code(
        "CEL004",
        "note",
        "sequence without masks",
        "None of the mask folders looked for is there, so the sequence can be predicted but neither trained on nor scored.",
        "Name the mask folder with source.masks if there is one.",
    ),
    Code(
        "CEL005",
        "warning",
        "TIFF file not named as a frame",
        "Only tNNN.tif are read as images and only man_segNNN.tif, maskNNN.tif, man_trackNNN.tif or tNNN.tif as masks.",
        "Rename the files if they are frames, or move them elsewhere.",
    ),
    # Reading: what one file tells.
    Code(
        "CEL010",
        "error",
        "TIFF file truncated or damaged",
        "The file ends early or its content contradicts its header, most often after a broken copy or a full disk.",
        "Copy the file again from where it came from.",
    ),
    Code(
        "CEL011",
        "error",
        "colour image where one channel is expected",
        "A frame is one grey plane; how colours were mixed into it cannot be undone by guessing.",
        "Save the channel that shows the cells as a grey TIFF.",
    ),
    Code(
        "CEL012",
        "error",
        "several planes in one file",
        "A frame is one plane in one file; a stack holds several times, depths or channels.",
        "Split the stack into one file a frame, named tNNN.tif.",
    ),
    Code(
        "CEL013",
        "error",
        "NaN or infinite pixels",
        "One such pixel makes every weight of a network NaN within a single training step.",
        "Replace these pixels where the image is made, or leave the frame out.",
    ),
    Code(
        "CEL014",
        "error",
        "constant image",
        "All pixels have one value: a closed shutter, an interrupted exposure or an empty file. Normalising it divides by zero.",
        "Leave the frame out, or take it again.",
    ),
    Code(
        "CEL015",
        "error",
        "pixel type not supported",
        "Images are stored as 8-bit, 16-bit or 32-bit float pixels, masks as whole numbers; this type fits none of them without loss.",
        "Save the file as uint8, uint16 or float32 (masks as uint16 or uint32).",
    ),
    Code(
        "CEL016",
        "warning",
        "saturated image",
        "More than one pixel in a hundred has the highest value a camera can give (255, 1,023, 4,095, …); what was brighter is lost.",
        "Lower exposure or gain at the microscope; for these frames nothing can be done.",
    ),
    # Masks, and an image beside its mask.
    Code(
        "CEL020",
        "error",
        "image and mask differ in size",
        "Each pixel of the mask labels the pixel of the image at the same place; unequal sizes mean a resized or a foreign mask.",
        "Bring the mask to the image's size with nearest-neighbour sampling, or find the mask that belongs to it.",
    ),
    Code(
        "CEL021",
        "error",
        "negative or fractional label",
        "Labels are whole numbers with 0 as background; other values come from interpolating or normalising a mask.",
        "Save the mask again without interpolation, as uint16 or uint32.",
    ),
    Code(
        "CEL022",
        "note",
        "empty mask",
        "The mask has no cell. That is allowed, as frames before the first cell are; such frames are counted.",
        "Nothing, if the frame really shows no cell.",
    ),
    Code(
        "CEL023",
        "warning",
        "label above 65,535",
        "The label does not fit in 16 bits, so the mask is kept as uint32; tools that read masks as uint16 would merge cells.",
        "Renumber the labels if the masks have to be read by such tools; nothing is lost here.",
    ),
    Code(
        "CEL024",
        "warning",
        "one label for many objects",
        "All objects of the mask share one label: it looks like a foreground mask, in which touching cells cannot be told apart.",
        "Use the mask that gives each cell its own label.",
    ),
    # Frames of one sequence beside each other.
    Code(
        "CEL030",
        "error",
        "frame of another size than its sequence",
        "The frames of a sequence are stored as one array and compared over time, so all have to have one size.",
        "Make the frames of the sequence equal in size, or put those that differ into a sequence of their own.",
    ),
    Code(
        "CEL031",
        "error",
        "frame of another pixel type than its sequence",
        "A sequence has one intensity scale; a frame of another type was converted, and its intensities no longer compare.",
        "Save all frames of the sequence with one pixel type.",
    ),
    Code(
        "CEL032",
        "warning",
        "frame numbers missing",
        "A gap in the numbers is often an incomplete copy; it also makes the time between two neighbouring frames uneven.",
        "Copy the missing frames, or go on if they were never taken.",
    ),
    Code(
        "CEL033",
        "warning",
        "frame equal to the one before it",
        "The two images are the same in each pixel: a stalled camera or a file copied twice. Speeds and divisions will be wrong here.",
        "Leave one of the two out, or take the frame again.",
    ),
)


class BadItem(Unusable):
    """One file or pair that cannot be used; it is set aside and the rest goes on."""

    codes = CATALOGUE


def finding(code: str, place: str, text: str) -> Finding:
    """A finding with a code of this catalogue; ``place`` is an identity, a sequence or a file."""
    return CATALOGUE[code].at(place, text)
