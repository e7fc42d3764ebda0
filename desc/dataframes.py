"""Tables as pandas DataFrames, where pandas is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from desc.errors import DescError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


def dataframe(
    data: Any, columns: list[str] | None = None, index: tuple[str, npt.ArrayLike] | None = None
) -> pd.DataFrame:
    """Return a DataFrame of rows, columns or an array.

    Parameters
    ----------
    data : list of dict, dict of str to array, or ndarray (T, D)
        Rows, columns, or values.
    columns : list of str, optional
        Names of the columns of an array.
    index : tuple of str and array, optional
        Name and values of the index; by default the row numbers.

    Raises
    ------
    DescError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        message = "to_dataframe needs pandas, which is not installed: pip install pandas"
        raise DescError(message) from error
    labels = None if index is None else pd.Index(index[1], name=index[0])
    return pd.DataFrame(data, columns=columns, index=labels)
