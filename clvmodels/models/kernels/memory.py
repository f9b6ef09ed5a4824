"""Arrays whose memory somebody else looks after."""

from typing import Any

from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic
def borrowed(_typing: Any, array: Any) -> Any:
    """The same array, that does not count who refers to it: for an argument, which the caller holds on to.

    Each row taken out of a counted array adds to its count and takes off again, atomically. In a loop that takes three
    rows for each customer and draw that was a third of the time.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = make_array(signature.args[0])(context, builder, arguments[0])
        given.meminfo = cgutils.get_null_value(given.meminfo.type)
        return given._getvalue()

    return array(array), build
