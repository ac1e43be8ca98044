"""What can be wrong with trees of events: the codes, their severity, why they matter, what to do.

An *error* sets a file or an event aside: packing goes on without it and training refuses until it is mended. A
*warning* lets it through; a *note* is only counted. Codes are never given a second meaning.
"""

from __future__ import annotations

from labwright.data.findings import Code, Finding, Unusable, catalogue

CATALOGUE = catalogue(
    # Listing: what names and tags tell.
    Code(
        "EVT001",
        "warning",
        "friends that go with no file",
        "No file has all tags of the group, so its friends are read for nothing. Usually a tag is mistyped.",
        "Correct the tags of the group, or take it out.",
    ),
    Code(
        "EVT002",
        "warning",
        "file whose events belong to no class",
        "It is read and nothing of it is used. Usually a tag is mistyped, or a class asks for a flag that the file does not have.",
        "Correct the tags of the class or of the group, or take the file out.",
    ),
    Code(
        "EVT003",
        "note",
        "events without run, lumi and event number",
        "Folds and friends need an identity. It is made from the jets themselves, so that equal events stay in one fold.",
        "Nothing; or name the columns with source.columns: {run: …, lumi: …, event: …} if the file has them.",
    ),
    Code(
        "EVT004",
        "note",
        "file without a year",
        "The year is 0 for its events: the file has no such column and no tag like year:UL18.",
        "Give the group a tag like year:UL18, or leave `year` out of pack.ancillary.",
    ),
    Code(
        "EVT005",
        "warning",
        "files with different b taggers",
        "The newest tagger that a file has is read, and these files have different ones, as two eras do. One threshold means another "
        "efficiency for each of them, so that the number of tags, and which four jets are chosen, differ between the files.",
        "Name one tagger that all files have with source.jets.b_tag; or pack the eras apart, each with its own source.jets.b_threshold.",
    ),
    # Reading: what one file tells.
    Code(
        "EVT010",
        "error",
        "file truncated or damaged",
        "It ends early, or a piece of it does not decompress: a broken copy, a full disk, or a job killed while writing.",
        "Copy the file again from where it came from, or make it again.",
    ),
    Code(
        "EVT011",
        "error",
        "no such tree in the file",
        "The events lie in a tree, or in a group of an HDF5 file, whose name differs from experiment to experiment.",
        "Name it with source.tree; the text says what is there.",
    ),
    Code(
        "EVT012",
        "error",
        "column absent",
        "The file lacks a column that is needed; other eras and other productions name it in another way.",
        "Name the file's own column with source.columns (or source.jets.b_tag for the b tag).",
    ),
    Code(
        "EVT013",
        "error",
        "column of the wrong type",
        "A number for each jet, or one for each event, was expected; this column holds something else.",
        "Name another column with source.columns, or write the file again.",
    ),
    Code(
        "EVT014",
        "error",
        "jet columns of unequal length",
        "In some events one column has more jets than another, so that nothing tells which numbers belong to one jet.",
        "Make the file again; the events are left out.",
    ),
    Code(
        "EVT015",
        "warning",
        "tree without events",
        "Nothing is read from it. A skim may rightly be empty; an interrupted job leaves empty trees too.",
        "Take the file out of the list, or make it again.",
    ),
    Code(
        "EVT016",
        "error",
        "NaN, infinite or impossible jets",
        "One such number makes every weight of a network NaN within a single training step. "
        "A negative transverse momentum or mass is no jet either.",
        "Mend them where the file is made; the events are left out.",
    ),
    Code(
        "EVT017",
        "error",
        "NaN or infinite weights",
        "One such weight makes the loss NaN. Often a friend holds NaN where its model did not score an event.",
        "Mend the weights where they are made, or merge the friend over all folds; the events are left out.",
    ),
    Code(
        "EVT018",
        "note",
        "events with fewer than four selected jets",
        "There is no four-jet system to look at; the events are left out, and their rows stay empty in the friend trees of scores.",
        "Nothing; or change source.jets if too many are lost.",
    ),
    Code(
        "EVT019",
        "note",
        "jets beyond the number that is kept",
        "Events have a fixed number of places for other jets; those of least transverse momentum found none.",
        "Raise source.jets.max_others if it happens often.",
    ),
    Code(
        "EVT020",
        "error",
        "friend with missing rows",
        "Some rows of the file have no row in the friend tree, so its columns have no value there.",
        "Make the friend again for the whole file; an interrupted job or an incomplete merge leaves such gaps.",
    ),
    Code(
        "EVT021",
        "error",
        "friend with rows given twice",
        "Two pieces of the friend tree claim the same rows of the file, and nothing tells which one is meant.",
        "Make the friend again, or take one of the two pieces out of its list.",
    ),
    Code(
        "EVT022",
        "error",
        "friend that was made for another file",
        "Its record of the file (UUID, number of rows) does not fit the file that is there: rows would be joined to other events.",
        "Make the friend again from this file, or copy the file from which it was made.",
    ),
    Code(
        "EVT023",
        "error",
        "NaN or infinite further columns",
        "A column that is an input of the network or part of a weight has no number in some events.",
        "Mend the column where it is made, or leave it out of pack.ancillary.",
    ),
    Code(
        "EVT024",
        "error",
        "friends that have the same column",
        "Two friends of a file both bring the column, and nothing tells whose is meant; it is taken from neither. Only noted where the "
        "column means nothing by itself, as the pairings that every friend of scores has.",
        "Name one of the friends only, or make the other one again with the columns that are needed.",
    ),
    # Events beside each other.
    Code(
        "EVT030",
        "error",
        "the same event more than once",
        "Run, lumi and event number occur twice. Counted twice it weighs double; most often a file is listed under two names.",
        "Take one of the files out. Simulated samples that number events alike need run numbers of their own.",
    ),
    Code(
        "EVT031",
        "error",
        "event that belongs to two classes",
        "Nothing tells which of the two is its label.",
        "Make the classes exclusive by their tags or by flags in `where`.",
    ),
    Code(
        "EVT032",
        "note",
        "events that belong to no class",
        "Their flags fit none of the classes of their file; they are not packed for training.",
        "Nothing, where they were left out on purpose; else look at `where` of the classes.",
    ),
    Code(
        "EVT033",
        "error",
        "class without events",
        "A class that has no event cannot be learned, and its weights cannot be normalised.",
        "Correct tags and `where` of the class; the text says what was looked for.",
    ),
    Code(
        "EVT034",
        "error",
        "class whose weights add up to nothing",
        "All weights are zero, or negative ones cancel the others: there is nothing to scale to the asked sum.",
        "Look at `weight` of the class and at the columns that it multiplies.",
    ),
    Code(
        "EVT035",
        "warning",
        "many negative weights",
        "Negative weights are kept; a class in which they are a large share of all has a noisy loss that may have no least value.",
        "Raise check.max_negative if that is how the sample is, or set train.negative_weights.",
    ),
    Code(
        "EVT036",
        "note",
        "events of too great weight left out",
        "The class has a max_weight, and these events weigh more.",
        "Nothing; or change max_weight.",
    ),
    Code(
        "EVT037",
        "error",
        "fewer events than a batch",
        "An epoch would have no step, and a model that never learned would be saved.",
        "Lower train.batch_size, take fewer folds, or give more events.",
    ),
    Code(
        "EVT038",
        "note",
        "input that is the same in all events",
        "It tells the network nothing, as the year in a sample of one year.",
        "Nothing; or leave it out of pack.ancillary.",
    ),
    Code(
        "EVT039",
        "warning",
        "different events with the same number",
        "Run, lumi and event number are equal and the jets are not. They share a fold, so that nothing leaks; yet nobody can tell them "
        "apart.",
        "Nothing for simulated samples that number their events alike; else look whether one data set is there in two productions.",
    ),
    # Scores.
    Code(
        "EVT040",
        "error",
        "events that no model may score",
        "Each event is scored by the model of its fold, which has not seen it. The models of some folds are not there, as after a "
        "training of some train.folds.offsets only, and the other models have trained on these events.",
        "Train all folds; or set predict.partial, and bring the runs of all folds together with merge.",
    ),
    # Scores of several trainings.
    Code(
        "EVT050",
        "error",
        "scores of different packs",
        "Row i of one run is another event than row i of the other, so that a mean over both would mean nothing.",
        "Name only the runs of one study, or predict all on one pack: trainings of several tags or sweep rows share it where the options "
        "of pack are equal.",
    ),
    Code(
        "EVT051",
        "error",
        "scores that mean different things",
        "The runs were trained for different classes, in another order, or with another objective; their columns do not go together.",
        "Merge runs of one objective and one list of classes.",
    ),
    Code(
        "EVT052",
        "error",
        "one model in several runs",
        "Two runs hold the model of the same folding, fold and seed. Counted twice it would pull the mean and feign a small spread; "
        "often an older training lies beside the newer one.",
        "Name the runs that are meant, or remove the older one; "
        "trainings that differ on purpose take other train.folds.offsets or train.seeds.",
    ),
    Code(
        "EVT053",
        "error",
        "events without a score in one of the foldings",
        "Each folding and seed has to score every event once. Where some folds are missing, some events would be means over fewer models "
        "than others, without a word.",
        "Name the runs of the missing folds as well, or leave the incomplete training out.",
    ),
    Code(
        "EVT054",
        "error",
        "too many models for one event",
        "The number of models that score an event is kept in eight bits.",
        "Merge fewer trainings.",
    ),
)


class BadFile(Unusable):
    """One file that cannot be used; it is set aside and the rest goes on."""

    codes = CATALOGUE


def finding(code: str, place: str, text: str) -> Finding:
    """A finding with a code of this catalogue; ``place`` is a file, a class or an event."""
    return CATALOGUE[code].at(place, text)
