import numpy as np

from fusion.fitting import Outlines, SizePrior, fit_boxes
from fusion.scene import build_scene

VAGUE = (np.array([[2.0, 2.0, 3.0]]), np.array([[1e3, 1e3, 1e3]]))


def fitted(scene, start, members, own=None):
    outlines = scene.outlines()
    if own is not None:
        outlines = Outlines(outlines.pixels, own, outlines.views)
    return fit_boxes(np.array([start]), np.array([members]), outlines, SizePrior(*VAGUE), steps=25)


def test_finds_the_box_that_made_the_silhouettes(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 9.0, 6.0, 0.3, 3.5)
    scene = build_scene(make_yard(boxes=(box,), noise_px=0.0, missed=0.0).observe(), demo_bay)
    assert len(scene.objects) >= 3
    fit = fitted(scene, [49.0, 19.0, 7.0, 7.0, 0.0, 2.0], range(len(scene.objects)))
    np.testing.assert_allclose(fit.boxes[0], [48.0, 20.0, 9.0, 6.0, 0.3, 3.5], atol=0.03)


def test_one_whole_silhouette_determines_a_box(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 34.0, 22.0, 9.0, 6.0, 0.3, 3.5)
    scene = build_scene(make_yard(boxes=(box,), noise_px=0.5, missed=0.0).observe(), demo_bay)
    row = [scene.frames[c].name for c in scene.camera].index("D_4")
    fit = fitted(scene, [35.0, 21.0, 7.0, 7.0, 0.0, 2.0], [row])
    np.testing.assert_allclose(fit.boxes[0], [34.0, 22.0, 9.0, 6.0, 0.3, 3.5], atol=0.25)


def test_an_outline_that_is_not_the_objects_own_only_needs_to_be_reached(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 9.0, 6.0, 0.0, 3.5)
    scene = build_scene(make_yard(boxes=(box,), noise_px=0.0, missed=0.0).observe(), demo_bay)
    own = np.zeros_like(scene.at_edge)
    larger = [48.0, 20.0, 20.0, 20.0, 0.0, 8.0]
    fit = fitted(scene, larger, range(len(scene.objects)), own)
    assert np.abs(fit.residuals).max() == 0.0  # all silhouettes lie inside: nothing pulls the sides in
    assert fit.boxes[0, 2] > 15
    # A box that does not reach them all is drawn out.
    smaller = fitted(scene, [48.0, 20.0, 3.0, 3.0, 0.0, 1.0], range(len(scene.objects)), own)
    assert smaller.boxes[0, 2] > 8.0
    assert smaller.boxes[0, 5] > 2.5


def test_wild_outline_points_do_not_carry_the_box_away(geometry, make_yard, demo_bay):
    box = geometry.Box("block", 48.0, 20.0, 9.0, 6.0, 0.0, 3.5)
    scene = build_scene(make_yard(boxes=(box,), noise_px=1.0, missed=0.0).observe(), demo_bay)
    outlines = scene.outlines()
    pixels = outlines.pixels.copy()
    pixels[:, :4] += 60.0
    fit = fit_boxes(
        np.array([[48.5, 19.5, 8.0, 6.0, 0.1, 3.0]]),
        np.arange(len(pixels))[None],
        Outlines(pixels, outlines.own, outlines.views),
        SizePrior(*VAGUE),
        steps=25,
    )
    np.testing.assert_allclose(fit.boxes[0], [48.0, 20.0, 9.0, 6.0, 0.0, 3.5], atol=0.25)


def test_batched_fits_do_not_touch_each_other(geometry, make_yard, demo_bay):
    boxes = geometry.random_boxes(demo_bay, 5, 2)
    scene = build_scene(make_yard(boxes=boxes).observe(), demo_bay)
    outlines = scene.outlines()
    rows = np.arange(len(scene.objects))[:, None]
    starts = np.tile([75.0, 20.0, 8.0, 6.0, 0.1, 3.0], (len(rows), 1))
    prior = SizePrior(np.repeat(VAGUE[0], len(rows), axis=0), np.repeat(VAGUE[1], len(rows), axis=0))
    together = fit_boxes(starts, rows, outlines, prior, steps=6)
    for row in range(0, len(rows), 3):
        alone = fit_boxes(starts[[row]], rows[[row]], outlines, SizePrior(*VAGUE), steps=6)
        np.testing.assert_allclose(alone.boxes[0], together.boxes[row], rtol=1e-6, atol=1e-6)
