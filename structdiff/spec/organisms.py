"""The organism that a sequence comes from, as headers of alignments tell it."""

from __future__ import annotations

import re

#: UniRef writes TaxID=, UniProt OX=; Protenix puts the number behind UniRef's name.
_NUMBER = (re.compile(r"\b(?:TaxID|OX)=(\d+)"), re.compile(r"UniRef\d+_[^_\s/]+_([^_\s/]+)"))
#: UniProt's entry names end with a code of the organism; codes that begin with 9 are of many organisms.
_CODE = re.compile(r"(?:sp|tr)\|[A-Z0-9]{6,10}(?:[_-]\d+)?\|[A-Z0-9]{1,10}_([A-Z][A-Z0-9]{2,4})(?![A-Z0-9])")


def organism(header: str) -> str:
    """The number of an organism in NCBI's taxonomy, or else UniProt's code for it; "" where neither is told.

    UniProt's codes of groups (9BACT) are none: two of their sequences need not be of one organism.

    >>> organism("UniRef90_P69905 Hemoglobin n=1 Tax=Homo sapiens TaxID=9606 RepID=HBA_HUMAN")
    '9606'
    >>> organism("sp|P69905|HBA_HUMAN/2-142"), organism("tr|A0A009|A0A009_9BACT/1-90")
    ('HUMAN', '')
    """
    for pattern in _NUMBER:
        if found := pattern.search(header):
            return found[1]
    found = _CODE.search(header)
    return found[1] if found else ""
