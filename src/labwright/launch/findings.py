"""What is found out when a study is handed to a cluster."""

from __future__ import annotations

from labwright.data.findings import Code, catalogue

MOVED_TAG = Code(
    "LCH001",
    "warning",
    "a tag of a container image means another image than before",
    "Whoever owns the tag has pointed it at another build. Runs from now on have other software inside than runs before, and machines that "
    "kept the old image under this tag may still start that one.",
    "Nothing, where the new build is wanted: the submission names it by digest. Else write the old digest, which the text names, "
    "into the site's file, as `image: docker://NAME@sha256:…`.",
)

CATALOGUE = catalogue(MOVED_TAG)
"""The codes of submissions."""
