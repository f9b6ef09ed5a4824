"""Random numbers by counter are the published ones, and have the distributions that they claim."""

import hashlib

import numba
import numpy as np
import pytest
from scipy import special, stats

import clvmodels as clv
from clvmodels.foundation import streams
from clvmodels.foundation.whole import require_seed

SIZE = 200_000


@numba.njit
def _log_gammas(stream, seed, shape, out):
    streams.open_stream(stream, np.uint64(seed), np.uint64(7), np.uint64(0), np.uint64(0))
    for i in range(len(out)):
        out[i] = streams.log_gamma(stream, shape)


@numba.njit
def _uniforms(stream, seed, customer, draw, purpose, out):
    streams.open_stream(stream, np.uint64(seed), np.uint64(customer), np.uint64(draw), np.uint64(purpose))
    for i in range(len(out)):
        out[i] = streams.uniform(stream)


@numba.njit
def _binomials(stream, n, p, out):
    streams.open_stream(stream, np.uint64(1), np.uint64(7), np.uint64(0), np.uint64(0))
    for i in range(len(out)):
        out[i] = streams.binomial(stream, n, p)


def uniforms(seed=1, customer=7, draw=0, purpose=0, size=SIZE):
    memory, out = streams.stream_memory(), np.empty(size)
    _uniforms(memory[0], seed, customer, draw, purpose, out)
    return out


def log_gammas(shape, seed=1):
    memory, out = streams.stream_memory(), np.empty(SIZE)
    _log_gammas(memory[0], seed, shape, out)
    return out


# Known answers of the Random123 library's kat_vectors file, philox4x32 10.
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_known_answers(counter, key, answer):
    words = [np.uint64(int(word, 16)) for word in f"{counter} {key}".split()]
    assert [f"{word:08x}" for word in streams.philox(*words)] == answer.split()


def test_the_first_uniform_is_the_first_two_words_of_philox():
    seed, customer, draw, purpose = 0x123456789ABCDEF0, 0xFEDCBA9876543210, 5, 1
    words = streams.philox(
        *(np.uint64(word) for word in (0x76543210, 0xFEDCBA98, draw, purpose << 28, 0x9ABCDEF0, 0x12345678))
    )
    expected = ((int(words[0]) >> 12) * 2**32 + int(words[1]) + 0.5) / 2**52
    assert uniforms(seed, customer, draw, purpose, size=1)[0] == expected


def test_uniform_numbers_are_uniform_and_inside_the_open_interval():
    u = uniforms()
    assert 0 < u.min() < u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / np.sqrt(SIZE)


@pytest.mark.parametrize("change", [{"seed": 2}, {"customer": 8}, {"draw": 1}, {"purpose": 1}])
def test_streams_that_differ_in_one_word_of_their_name_are_unrelated(change):
    u, other = uniforms(), uniforms(**change)
    assert abs(np.corrcoef(u, other)[0, 1]) < 4 / np.sqrt(SIZE)


def test_first_numbers_of_neighbouring_draws_are_uniform_together():
    first = np.array([uniforms(draw=draw, size=2) for draw in range(4_000)])
    assert stats.kstest(first[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first.T)[0, 1]) < 4 / np.sqrt(len(first))


@pytest.mark.parametrize("shape", [0.02, 0.5, 1.0, 6.0, 1e4])
def test_gamma_numbers_have_a_gamma_distribution(shape):
    log_g = log_gammas(shape)
    assert np.isfinite(log_g).all()
    # log Gamma(k) has mean digamma(k) and variance trigamma(k): it sees the far left tail of a small shape
    variance = special.polygamma(1, shape)
    assert abs(log_g.mean() - special.digamma(shape)) < 4 * np.sqrt(variance / SIZE)
    kurtosis = special.polygamma(3, shape) / variance**2
    assert abs(log_g.var() / variance - 1) < 4 * np.sqrt((2 + kurtosis) / SIZE)
    # P(G <= g), at small shapes from log g where g is below the least float: g^k / Gamma(k + 1)
    with np.errstate(under="ignore"):
        left = np.exp(shape * np.minimum(log_g, -30) - special.gammaln(shape + 1))
        probability = np.where(log_g < -30, left, special.gammainc(shape, np.exp(log_g)))
    assert stats.kstest(probability, "uniform").pvalue > 1e-3


def test_a_stream_is_the_same_however_often_it_is_opened():
    assert np.array_equal(uniforms(size=9), uniforms(size=9))
    assert np.array_equal(uniforms(size=9), uniforms(size=20)[:9])


def test_customer_keys_are_blake2b_of_the_id_as_text():
    ids = np.array(["1", "01", "客户", ""], dtype=object)
    expected = [int.from_bytes(hashlib.blake2b(i.encode(), digest_size=8).digest(), "little") for i in ids]
    assert streams.customer_keys(ids).tolist() == expected
    assert len(set(expected)) == 4


@pytest.mark.parametrize("seed", [None, -1, 2**64, 1.0, True, "1"])
def test_a_seed_that_cannot_be_used_is_refused(seed):
    with pytest.raises(clv.DataError, match="seed"):
        require_seed(seed)


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (16, 0.5), (17, 0.9), (40, 0.02), (1000, 0.63), (10**6, 0.999)])
def test_binomial_numbers_have_their_distribution(n, p):
    out, law = np.empty(20_000), stats.binom(n, p)
    _binomials(streams.stream_memory()[0], n, p, out)
    cuts = np.unique(law.ppf(np.linspace(0.05, 0.95, 19)))
    shares = np.diff(np.concatenate([[0.0], law.cdf(cuts), [1.0]]))
    kept = shares > 1e-9
    counts = np.bincount(np.searchsorted(cuts, out), minlength=len(shares))
    assert counts[~kept].sum() == 0
    assert stats.chisquare(counts[kept], 20_000 * shares[kept] / shares[kept].sum()).pvalue > 1e-3


@pytest.mark.parametrize("n", [0, 5, 1000])
def test_nobody_is_below_0_and_all_are_below_1(n):
    out = np.empty(100)
    for p in (0.0, 1.0):
        _binomials(streams.stream_memory()[0], n, p, out)
        assert (out == n * p).all()
