/* The pixel-wise Gaussian blur, forward and backward, one pass over the image each. blur.py says what it computes.

   A pixel's Gaussian is separable: with a_k = exp(-k^2 s / 2), and V_ij the sum of the pixels at distance i in rows
   and j in columns (four of them; two or one on the axes),

       x' = S / T^2,   S = sum_i,j a_i a_j V_ij,   T = 1 + 2 (a_1 + ... + a_R),

   and its slope in s is (D S - M / 2) / T^2 with D = (2 / T) sum_k k^2 a_k and M = sum_i,j a_i a_j (i^2 + j^2) V_ij. As
   a_i a_j is a_j a_i, V_ij and V_ji are added up before they are weighed. Forward gives both where a gradient will be
   asked for, so that backward has no need of the image.

   Rows first, then columns, and backward the other way round: nothing larger than a few rows is ever stored. R, half
   of the window, is given to the compiler, which unrolls by it; LANES pixels of a row are computed at a time. */

#include "lanes.h"

#define PAIRS ((R + 1) * (R + 2) / 2)
#define MARGIN ((R + LANES - 1) / LANES * LANES)

typedef int Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    long colours, height, width;
} Shape;

/* Rows with room on either side; where column 0 of the first of several is, `pitch` floats from one to the next. */
typedef struct {
    long pitch;
    float *columns;   /* forward, for each colour: U_0 .. U_R of the present row, U_i = x(y - i) + x(y + i) */
    float *weights;   /* backward: a_1 .. a_R, and 1 / T^2 */
    float *products;  /* backward: u a_i a_j for j <= i, u = g / T^2; zeros on either side */
    float *given;     /* backward: what the row gives to those at distance 0 .. R */
} Work;

/* From and to rows of exactly `width` pixels: those from column x on, of which there may be less than LANES. */
INLINE Floats load_some(const float *row, long x, long width) {
    if (x + LANES <= width) return load(row + x);
    Floats some = {};
    memcpy(&some, row + x, (width - x) * sizeof(float));
    return some;
}

INLINE void store_some(float *row, long x, long width, Floats value) {
    if (x + LANES <= width)
        store(row + x, value);
    else
        memcpy(row + x, &value, (width - x) * sizeof(float));
}

INLINE long reflected(long index, long size) {
    index = index < 0 ? -index : index;
    return index < size ? index : 2 * (size - 1) - index;
}

INLINE void *open_work(Work *w, Shape n) {
    const long pitch = ((n.width + 4 * MARGIN + 2 * LANES - 1) / LANES | 1) * LANES;
    const long columns = n.colours * (R + 1), rows = columns + R + 1 + PAIRS + R + 1;
    float *memory = aligned_alloc(4 * LANES, rows * pitch * sizeof(float)), *first = memory + 2 * MARGIN;
    if (!memory) return NULL;
    memset(memory, 0, rows * pitch * sizeof(float));
    w->pitch = pitch;
    w->columns = first;
    w->weights = w->columns + columns * pitch;
    w->products = w->weights + (R + 1) * pitch;
    w->given = w->products + PAIRS * pitch;
    return memory;
}

/* 2^x for x <= 0, relative error below 3e-7: 2^n times a polynomial on [-1/2, 1/2]; below -125 it is 2^-125. */
INLINE Floats power_of_two(Floats x) {
    const Floats least = (Floats){} - 125.0f;
    Ints low = x < least;
    x = (Floats)(((Ints)x & ~low) | ((Ints)least & low));
    Ints n = __builtin_convertvector(x - 0.5f, Ints);
    Floats f = x - __builtin_convertvector(n, Floats);
    Floats p = f * 1.3333558146e-3f + 9.6181291076e-3f;
    p = p * f + 5.5504108665e-2f;
    p = p * f + 2.4022650696e-1f;
    p = p * f + 6.9314718056e-1f;
    return (p * f + 1.0f) * (Floats)((n + 127) << 23);
}

/* a_1 .. a_R of some pixels' precisions: a_k = q^(k^2), each from the last, as k^2 - (k - 1)^2 = 2 k - 1. And 1 / T. */
INLINE Floats weigh(Floats precision, Floats a[R + 1]) {
    Floats q = power_of_two(precision * -0.72134752f), square = q * q, odd = q, half = q;
    a[1] = q;
    UNROLLED for (int k = 2; k <= R; k++) {
        odd *= square;
        a[k] = a[k - 1] * odd;
        half += a[k];
    }
    return 1.0f / (1.0f + 2.0f * half);
}

/* U_0 .. U_R of row y, reflected on either side. */
INLINE void sum_columns(const float *plane, long y, float *columns, Shape n, const Work *w) {
    const float *row = plane + y * n.width;
    memcpy(columns, row, n.width * sizeof(float));
    UNROLLED for (int i = 1; i <= R; i++) {
        const float *above = plane + reflected(y - i, n.height) * n.width;
        const float *below = plane + reflected(y + i, n.height) * n.width;
        for (long x = 0; x < n.width; x += LANES)
            store(columns + i * w->pitch + x, load_some(above, x, n.width) + load_some(below, x, n.width));
    }
    for (int i = 0; i <= R; i++) {
        float *sums = columns + i * w->pitch;
        for (int k = 1; k <= R; k++) {
            sums[-k] = sums[k];
            sums[n.width - 1 + k] = sums[n.width - 1 - k];
        }
    }
}

/* The sum of what is j >= 1 columns before and after. */
INLINE Floats both(const float *row, int j) { return load(row - j) + load(row + j); }

/* One row, from the sums of its columns: blurred, and, unless `slopes` is NULL, its slope in the precision. */
INLINE void blur_row(const float *precision, float *blurred, float *slopes, Shape n, const Work *w) {
    const long plane = n.height * n.width;
    for (long x = 0; x < n.width; x += LANES) {
        Floats a[R + 1], distant[R + 1], spread = {};
        const Floats once = weigh(load_some(precision, x, n.width), a), square = once * once;
        UNROLLED for (int k = 1; k <= R; k++) {
            distant[k] = (float)(k * k) * a[k];
            spread += distant[k];
        }
        spread *= 2.0f * once;
        for (long c = 0; c < n.colours; c++) {
            const float *sums = w->columns + c * (R + 1) * w->pitch + x;
            Floats sum = load(sums), moment = {};
            UNROLLED for (int i = 1; i <= R; i++) {
                Floats along = load(sums + i * w->pitch) + both(sums, i), across = {};
                UNROLLED for (int j = 1; j <= i; j++) {
                    Floats v = both(sums + i * w->pitch, j);
                    if (i != j) v += both(sums + j * w->pitch, i);
                    along += a[j] * v;
                    if (slopes) across += distant[j] * v;
                }
                sum += a[i] * along;
                if (slopes) moment += distant[i] * along + a[i] * across;
            }
            store_some(blurred + c * plane, x, n.width, sum * square);
            if (slopes) store_some(slopes + c * plane, x, n.width, (spread * sum - 0.5f * moment) * square);
        }
    }
}

INLINE void blur_image(
    const float *images, const float *precision, float *blurred, float *slopes, Shape n, const Work *w
) {
    for (long y = 0; y < n.height; y++) {
        const long at = y * n.width;
        for (long c = 0; c < n.colours; c++)
            sum_columns(images + c * n.height * n.width, y, w->columns + c * (R + 1) * w->pitch, n, w);
        blur_row(precision + at, blurred + at, slopes ? slopes + at : NULL, n, w);
    }
}

/* One image, planes of height x width, and its one map: the blurred image, and, unless `slopes` is NULL, the slope
   of each of its values in the precision of its pixel. Returns 0, or 1 where there is no memory. */
int dfgame_blur_forward(
    const float *images, const float *precision, float *blurred, float *slopes, long colours, long height, long width
) {
    const Shape n = { colours, height, width };
    Work w;
    void *memory = open_work(&w, n);
    if (!memory) return 1;
    if (slopes)
        blur_image(images, precision, blurred, slopes, n, &w);
    else
        blur_image(images, precision, blurred, NULL, n, &w);
    free(memory);
    return 0;
}

/* A row of the map for backward: a_1 .. a_R, and 1 / T^2. */
INLINE void weigh_row(const float *precision, const Work *w, long width) {
    for (long x = 0; x < width; x += LANES) {
        Floats a[R + 1];
        const Floats once = weigh(load_some(precision, x, width), a);
        UNROLLED for (int k = 1; k <= R; k++) store(w->weights + (k - 1) * w->pitch + x, a[k]);
        store(w->weights + R * w->pitch + x, once * once);
    }
}

/* Where u a_i a_j is, whichever of the two is the larger. */
INLINE float *pair(const Work *w, int i, int j) {
    return w->products + (i >= j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i) * w->pitch;
}

/* The blur's transpose: a pixel gives u a_i a_j to those at distance i, j. From the slope of a row of blurred pixels,
   what it gives to each column of the rows at distance i; what would fall beside the image is folded back. */
INLINE void give(const float *slope, const Work *w, long width) {
    for (long x = 0; x < width; x += LANES) {
        Floats part = load_some(slope, x, width) * load(w->weights + R * w->pitch + x);
        const Floats u = part;
        store(pair(w, 0, 0) + x, u);
        UNROLLED for (int i = 1; i <= R; i++) {
            part = u * load(w->weights + (i - 1) * w->pitch + x);
            store(pair(w, i, 0) + x, part);
            UNROLLED for (int j = 1; j <= i; j++)
                store(pair(w, i, j) + x, part * load(w->weights + (j - 1) * w->pitch + x));
        }
    }
    for (long x = -MARGIN; x < width + R; x += LANES) {
        UNROLLED for (int i = 0; i <= R; i++) {
            Floats sum = load(pair(w, i, 0) + x);
            UNROLLED for (int j = 1; j <= R; j++) sum += both(pair(w, i, j) + x, j);
            store(w->given + i * w->pitch + x, sum);
        }
    }
    for (int i = 0; i <= R; i++) {
        float *given = w->given + i * w->pitch;
        for (int k = 1; k <= R; k++) {
            given[k] += given[-k];
            given[width - 1 - k] += given[width - 1 + k];
        }
    }
}

INLINE void add(float *row, long x, long width, Floats given) {
    store_some(row, x, width, load_some(row, x, width) + given);
}

/* Add what row y gives to the gradient of the image. */
INLINE void add_given(float *gradient, long y, Shape n, const Work *w) {
    float *above[R + 1], *below[R + 1];
    for (int i = 0; i <= R; i++) {
        above[i] = gradient + reflected(y - i, n.height) * n.width;
        below[i] = gradient + reflected(y + i, n.height) * n.width;
    }
    for (long x = 0; x < n.width; x += LANES) {
        add(above[0], x, n.width, load(w->given + x));
        UNROLLED for (int i = 1; i <= R; i++) {
            const Floats given = load(w->given + i * w->pitch + x);
            add(above[i], x, n.width, given);
            add(below[i], x, n.width, given);
        }
    }
}

/* The gradient of the map: over the colours, the slope of the blurred image times what forward found. */
INLINE void slope_of_map(const float *slope, const float *slopes, float *slope_precision, long colours, long plane) {
    for (long x = 0; x < plane; x += LANES) {
        Floats sum = {};
        for (long c = 0; c < colours; c++)
            sum += load_some(slope + c * plane, x, plane) * load_some(slopes + c * plane, x, plane);
        store_some(slope_precision, x, plane, sum);
    }
}

INLINE int slope_of_image(const float *precision, const float *slope, float *slope_images, Shape n) {
    const long plane = n.height * n.width;
    Work w;
    void *memory = open_work(&w, n);
    if (!memory) return 1;
    memset(slope_images, 0, n.colours * plane * sizeof(float));
    for (long y = 0; y < n.height; y++) {
        weigh_row(precision + y * n.width, &w, n.width);
        for (long c = 0; c < n.colours; c++) {
            give(slope + c * plane + y * n.width, &w, n.width);
            add_given(slope_images + c * plane, y, n, &w);
        }
    }
    free(memory);
    return 0;
}

/* The gradients of one image and of its map, unless they are NULL, from the slope g of its blurred image and the
   slopes that forward found. */
int dfgame_blur_backward(
    const float *precision, const float *slopes, const float *slope, float *slope_images, float *slope_precision,
    long colours, long height, long width
) {
    if (slope_precision) slope_of_map(slope, slopes, slope_precision, colours, height * width);
    return slope_images ? slope_of_image(precision, slope, slope_images, (Shape){ colours, height, width }) : 0;
}
