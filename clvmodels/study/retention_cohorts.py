"""Cohorts of a purchase log in a study of retention: the triangle, and its forecast against what came after."""


class Cohorts: ...


def forecast_cohorts(*a): ...
