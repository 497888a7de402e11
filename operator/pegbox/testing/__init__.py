"""Fakes of every port, and the suites of claims that fakes and real parts both have to meet. Shipped."""
