"""XML from people we don't know: no entities, no external references, one clear reason when it is broken."""

from xml.etree import ElementTree as ET
from xml.parsers import expat

from knowledge.errors import BadRecordError
from knowledge.readers.archive import NamedBytes


def parse_xml(item: NamedBytes) -> ET.Element:
    """Return the root element.

    A document type declaration that defines entities is refused before any is expanded (the billion-laughs bomb).

    Raises:
        BadRecordError: it is truncated, not XML, in a wrong encoding, or defines entities.
    """
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: object) -> int:
        raise BadRecordError(f"{item.name} defines XML entities, which a report never needs: not read")

    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(item.data, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError, LookupError) as error:
        raise BadRecordError(f"{item.name} is not well-formed XML ({error}); it may be truncated") from error
