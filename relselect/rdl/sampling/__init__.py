"""The temporal sampler: one computation tree per task row, of rows visible at the row's `asof`."""

__all__: list[str] = []
