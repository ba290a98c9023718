"""What docs/distances.md says beside its tables."""

INTRODUCTION = """\
# Surface distances beside other libraries

Our distances run between surfaces. The surface of a mask is its pixels that have one of their four neighbours outside
it; all beyond the image is outside, so that a lesion which the image cuts off has a surface there, too. From the centre
of every surface pixel of the truth we take the distance to the nearest surface pixel of the prediction, and likewise
from the prediction to the truth. **HD95** is the larger of the two 95th percentiles, one of each direction: a part that
is missing may show in one direction only, and so may a false island, and the direction that sees no error must not
dilute them. **ASSD** is the mean over all surface pixels of both masks, and **NSD** the share of them within a
tolerance of the other surface. Two empty masks agree: distances 0, NSD 1. If only one mask is empty, all distances are
the diagonal of the image, more than any distance within it, and NSD is 0: a lesion that is missed then costs more than
one that is found badly, every case stays in the mean, and such cases are counted.

Other libraries mean something else by the same names. This page puts them side by side on masks drawn by hand and
explains every difference. `python -m benchmarks.distance_libraries` writes it anew, and
`tests/test_distance_libraries.py` checks it. Lengths are in pixels or, in the cases with a spacing, in its unit.

![Outlines of truth and prediction in the 14 cases](distances.png)

Cases 1 to 9 have 256 x 256 pixels. In 10 to 14 the distances can be counted, see the end of the page. Values that
differ from ours are in **bold**. `RuntimeError` is what MedPy raises.
"""

CHANGES = """\
## What the definitions differ in

The script takes our definition, changes it as this table says, and stops unless that gives the value of the library in
every case with two objects (1 to 6 and 10 to 14), within the tolerance. So the change is the whole difference.
"""

AGREEMENT = """\
**MONAI is ours** in all three metrics as long as both masks hold an object; it computes in single precision, hence the
tolerance. It has to be told `include_background=True` for binary masks, and `symmetric=True` for ASSD. With
`use_subvoxels=True` its NSD is that of surface-distance. **MedPy's ASSD is ours** as well, and so are its surface and
its distances: HD95 differs in the percentile alone.
"""

MEDPY = """\
### MedPy

MedPy takes one percentile of both directed sets together. That is ours where errors show in both directions alike, as
in cases 1, 4 and 6. In case 2 the island is more than 5 % of the surface of the prediction, and our HD95 sees it; it is
less than 5 % of both surfaces together, and MedPy's HD95 does not. In cases 3, 5, 10 and 11, too, one direction sees
less than the other and dilutes it. MedPy's author agrees that not everyone shares this definition (loli/medpy, issue
138).

`connectivity=2` means another surface: pixels with only a diagonal neighbour outside belong to it, so that slanted
outlines become two pixels thick. MedPy's documentation recommends more than the default of 1.

**Arrays of shape (1, H, W)**, as data loaders give them, are volumes of one slice to MedPy. Above and below the slice
is outside, so every pixel of an object is surface, and all those that both masks share have the distance 0. A lesion
has many more pixels inside than on its outline: in case 1 HD95 falls from {flat} to {in_3d}, in case 4 to {at_border}.
Public test scripts pass such arrays, among them that of BAT for ISIC (jcwang123/BA-Transformer, test.py), which also
leaves the cases out of its mean in which MedPy raises. Ours refuses such an array and asks for one slice.
"""

SURFACE_DISTANCE = """\
### surface-distance

Its surface consists of the corners of pixels where object and outside meet, half a pixel from the centres, and each
corner stands for the length that marching squares give the contour there: a whole step where it runs straight, half a
diagonal where it cuts a corner. Ours counts pixels and so gives a slanted outline, which has one pixel for every
diagonal, less weight than a straight one. With the spacing of case 6 lengths change the weights most: with us a pixel
counts once, whether its piece of the outline is 2 or 0.5 long. The percentile is the smallest distance that 95 % of the
length do not exceed, where ours interpolates. For ASSD the library gives the two directed means; the table has the mean
of them, as is usual, in which the shorter outline weighs as much as the longer one.

These tables go from our definition to that of surface-distance, one change after the other.
"""

EMPTY = """\
### Empty masks

No library agrees with ours on the distances of cases 7 to 9.

MONAI takes the distances to an empty mask as infinite. ASSD is then `inf`, but the percentile interpolates between
`inf` and `inf`, and `inf - inf` is `nan`. Two empty masks give `nan`, for there is nothing to measure.

surface-distance takes them as infinite as well. From the empty mask there are none; their percentile counts as
infinite, but their mean is `nan`, and with it the mean of the two means. So two empty masks are infinitely far apart in
HD95. Release 0.1 asks NumPy for `np.Inf`, which NumPy 2 has no more: there it ends with an `AttributeError` on every
empty mask. The script puts the name back, and the tables show what the library means to say.

MedPy raises `RuntimeError`, and scripts that catch it put 0 in its place or leave the case out.

NSD is 0 everywhere if one mask is empty. If both are, ours is 1, and MONAI and surface-distance divide 0 by 0.

### A missed lesion improves MONAI's mean

MONAI's metrics leave `nan` out of the mean. HD95 is `nan` where a lesion is missed, so the worst failure of all does
not count (Project-MONAI/MONAI, issue 9095). Here are two lesions: that of case 1, found with a shift, and another one,
of which a piece is missing as in case 3, or which is not found at all as in case 7.
"""

MISSED = """\
By MONAI's mean HD95 it is better not to find the second lesion at all than to miss a piece of it. What tells is the
number of cases, which `get_not_nans=True` gives. Without a percentile, the mean is infinite from the first missed
lesion on. Ours becomes worse and stays a number.
"""

BY_HAND = """\
## By hand

These are our distances of the small cases. The rows of the masks are separated by blanks.
"""

ARITHMETIC = """\
In case 10 the 95th percentile of the seven distances from the prediction lies 0.95 x 6 = 5.7 steps behind the first
one, between 1 and 2: 1.7. MedPy has all twelve in one set, 0.95 x 11 = 10.45: 1.45. For surface-distance the prediction
has 16 corners, of which four count half a diagonal: 12 + 4 x 0.707 = 14.83. The two at the distance 2 are the last 1.41
of it, more than 5 %: 2. In case 11 the truth has ten distances, 0.95 x 9 = 8.55: 4.55, and MedPy fifteen, 0.95 x 14 =
13.3: 4.3.

In case 12 the centres of both pixels are 3 rows and 4 columns apart: 5. The corners of a pixel are 3.61, 4.24, 4.47 and
5 from the nearest one of the other, so the ASSD of surface-distance is 4.33. With the spacing of case 13 the rows are 6
apart and the columns 2: the root of 40 is 6.32. In case 14 the surface of the full image is its border of 8 pixels, 1
or 1.41 away from the pixel in the middle, which in turn is 1 away from it: (1 + 4 x 1 + 4 x 1.41) / 9 = 1.18.
"""
