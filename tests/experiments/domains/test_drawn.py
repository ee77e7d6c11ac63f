"""Data that are drawn: what is observed holds each factor, and nothing else makes the image."""

import numpy as np
import pytest

from identirep.experiments.domains.sensors import record
from identirep.experiments.domains.sprites import render
from identirep.experiments.domains.topics import write


def test_sprites_have_place_size_turn_and_shade():
    base = np.zeros((1, 5))
    changed = np.repeat(base, 6, axis=0)
    changed[np.arange(5), np.arange(5)] = 0.4
    images = render(changed)[:, 0].astype(np.float64)
    assert images.shape == (6, 32, 32)
    assert images.min() >= 0
    pixels = np.arange(32) + 0.5
    mass = images.sum(axis=(1, 2))
    right, down = images.sum(axis=1) @ pixels / mass, images.sum(axis=2) @ pixels / mass
    # A normal quantile of 0.4 is 0.155 of the range above its middle: 12 pixels, 4 pixels, 0.9 half turns, 0.7.
    step = 0.15542
    x, y, scale, turn, shade, plain = range(6)
    assert right[x] - right[plain] == pytest.approx(12 * step, abs=0.05)
    assert down[y] - down[plain] == pytest.approx(12 * step, abs=0.05)
    assert mass[scale] / mass[plain] == pytest.approx(((6 + 4 * step) / 6) ** 2, rel=0.02)
    assert mass[turn] == pytest.approx(mass[plain], rel=0.01)
    assert images[shade].max() / images[plain].max() == pytest.approx((0.65 + 0.7 * step) / 0.65, rel=1e-5)
    # The turn of the axes of inertia, less that of the sprite as it stands.
    assert (_turn(images[turn]) - _turn(images[plain])) % np.pi == pytest.approx(0.9 * np.pi * step, abs=0.03)


def _turn(image):
    """Return the angle of the long axis of the mass."""
    pixels = np.arange(32) + 0.5
    columns, rows = np.meshgrid(pixels, pixels)
    (a, b), (_, c) = np.cov(columns.ravel(), rows.ravel(), aweights=image.ravel())
    return 0.5 * np.arctan2(2 * b, a - c)


def test_sensors_record_each_factor():
    Z = np.random.default_rng(0).normal(size=(200, 4))
    records = record(Z, np.random.default_rng(1)).astype(np.float64)
    assert records.shape == (200, 2, 128)
    # Drift is what the difference of the sensors has at the end, strength what the start has.
    ends = (records[:, 0, 96:] - records[:, 1, 96:]).mean(axis=1)
    start = np.hypot(records[:, 0, :4], records[:, 1, :4]).mean(axis=1)
    assert np.corrcoef(ends, Z[:, 3])[0, 1] > 0.9
    assert np.corrcoef(start, Z[:, 2])[0, 1] > 0.9
    # The phase of neighbouring steps turns by the frequency, whatever the angle at the start.
    wave = records[:, 0, :32] + 1j * records[:, 1, :32]
    turned = np.angle(wave[:, :-1].conj() * wave[:, 1:])
    assert np.corrcoef(np.median(turned, axis=1), Z[:, 0])[0, 1] > 0.9
    swing = np.hypot(records[:, 0], records[:, 1])
    later = np.log(swing[:, 30:40].mean(axis=1) / swing[:, :10].mean(axis=1))
    assert np.corrcoef(later, Z[:, 1])[0, 1] > 0.6


def test_topics_are_in_the_words():
    Z = np.random.default_rng(0).normal(size=(400, 5))
    counts = write(Z, np.random.default_rng(1)) ** 2
    np.testing.assert_allclose(counts.sum(axis=1), 150)
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    design = np.column_stack([np.ones(400), np.sqrt(counts)])
    learnt = np.linalg.solve(design[:300].T @ design[:300] + 20 * np.eye(301), design[:300].T @ Z[:300])
    found = design[300:] @ learnt
    assert min(np.corrcoef(found[:, k], Z[300:, k])[0, 1] for k in range(5)) > 0.6
