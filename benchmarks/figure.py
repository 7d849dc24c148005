"""One measured number, what it should be, and what stands beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`times_baseline` is a target too: at least so many times the baseline, which has the same unit."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    baseline: float | None = None
    baseline_name: str = ""
    times_baseline: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """None for a number without a target."""
        checks = []
        if self.at_least is not None:
            checks.append(self.value >= self.at_least)
        if self.at_most is not None:
            checks.append(self.value <= self.at_most)
        if self.times_baseline is not None and self.baseline is not None:
            checks.append(self.value >= self.times_baseline * self.baseline)
        return all(checks) if checks else None

    @property
    def target(self) -> str:
        parts = []
        if self.at_least is not None:
            parts.append(f"≥ {shown(self.at_least)}")
        if self.at_most is not None:
            parts.append(f"≤ {shown(self.at_most)}")
        if self.times_baseline is not None:
            parts.append(f"≥ {self.times_baseline:g} times baseline")
        return ", ".join(parts)

    @property
    def beside(self) -> str:
        """The baseline, and how many times it the value is."""
        if self.baseline is None:
            return ""
        ratio = f" ({self.value / self.baseline:.2g} times)" if self.baseline else ""
        return f"{self.baseline_name}: {shown(self.baseline)}{ratio}"


def shown(number: float) -> str:
    """Three figures that mean something, thousands with commas."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
