/* The pixel-wise Gaussian blur, forward and backward, one pass over the image each. blur.py says what it computes.

   A pixel's Gaussian is separable: with a_k = exp(-k^2 s / 2), and V_ij the sum of the pixels at distance i in rows
   and j in columns (four of them; two or one on the axes),

       x' = sum_i,j p_ij V_ij,   p_ij = a_i a_j / T^2,   T = 1 + 2 (a_1 + ... + a_R),

   and its slope in s has the same sums with p_ij ((2 / T) sum_k k^2 a_k - (i^2 + j^2) / 2) in the place of p_ij. As
   p_ij = p_ji, V_ij and V_ji are added up before they are weighed. Forward gives both where a gradient will be asked
   for, so that backward has no need of the image.

   The sums along a row, H_j(x) = x(x - j) + x(x + j), are made once and kept for the 2 R + 1 rows in use: nothing
   larger than a few rows is ever stored. R, half of the window, is given to the compiler, which unrolls by it; LANES
   pixels of a row are computed at a time. Rows in `Work` are padded to whole lanes. */

#include "lanes.h"

#define WINDOW (2 * R + 1)

typedef int Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    long colours, height, width;
} Shape;

/* Rings hold the WINDOW rows around the present one; row y of the image is in slot y mod WINDOW. */
typedef struct {
    long pitch, wide;    /* floats from row to row: the width in whole lanes; and with room on either side */
    float *ring;         /* a ring for each colour. Forward: H_0 .. H_R. Backward: u a_0 .. u a_R, u = g / T^2 */
    float *weights;      /* ring, backward: a_1 .. a_R, and 1 / T^2 */
    float *padded;       /* forward: a row of the image with R reflected pixels on either side */
    float *products;     /* backward: what a row gets from those around it, by distance in columns */
    float *gathered;     /* backward: the sum of those, from column -R on */
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
    const long pitch = ((n.width + LANES - 1) / LANES | 1) * LANES, wide = pitch + 4 * R + 2 * LANES;
    const long ring = WINDOW * (R + 1) * pitch;
    float *memory = calloc(wide * (R + 3) + ring * (n.colours + 1), sizeof(float)), *next = memory;
    if (!memory) return NULL;
    w->pitch = pitch;
    w->wide = wide;
    w->padded = next, next += wide;
    w->gathered = next, next += wide;
    w->products = next, next += wide * (R + 1);
    w->ring = next, next += ring * n.colours;
    w->weights = next;
    return memory;
}

/* Where row y of ring number `which` begins; y >= -WINDOW. */
INLINE float *slot(float *rings, long which, long y, long pitch) {
    return rings + (which * WINDOW + (y + WINDOW) % WINDOW) * (R + 1) * pitch;
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

/* a_0 .. a_R of some pixels' precisions: a_k = q^(k^2), each from the last, as k^2 - (k - 1)^2 = 2 k - 1. And 1 / T. */
INLINE Floats weigh(Floats precision, Floats a[R + 1]) {
    Floats q = power_of_two(precision * -0.72134752f), square = q * q, odd = q, half = q;
    a[0] = (Floats){} + 1.0f;
    a[1] = q;
    UNROLLED for (int k = 2; k <= R; k++) {
        odd *= square;
        a[k] = a[k - 1] * odd;
        half += a[k];
    }
    return 1.0f / (1.0f + 2.0f * half);
}

INLINE void sum_row(const float *plane, long y, Shape n, Work *w, float *sums) {
    const float *row = plane + reflected(y, n.height) * n.width;
    memcpy(w->padded + R, row, n.width * sizeof(float));
    for (int k = 1; k <= R; k++) {
        w->padded[R - k] = row[k];
        w->padded[R + n.width - 1 + k] = row[n.width - 1 - k];
    }
    for (long x = 0; x < n.width; x += LANES) {
        const float *centre = w->padded + R + x;
        store(sums + x, load(centre));
        UNROLLED for (int j = 1; j <= R; j++) store(sums + j * w->pitch + x, load(centre - j) + load(centre + j));
    }
}

/* Bring a colour's ring to row y: only the newest of its rows is computed, except at the top. Where they are. */
INLINE void advance(const float *plane, long c, long y, Shape n, Work *w, const float *rows[WINDOW]) {
    for (long k = y ? R : -R; k <= R; k++) sum_row(plane, y + k, n, w, slot(w->ring, c, y + k, w->pitch));
    for (int k = 0; k < WINDOW; k++) rows[k] = slot(w->ring, c, y + k - R, w->pitch);
}

/* V_ij of the pixels from column x on. */
INLINE Floats four(const float *rows[WINDOW], int i, int j, long x, long pitch) {
    if (i == 0) return load(rows[R] + j * pitch + x);
    return load(rows[R - i] + j * pitch + x) + load(rows[R + i] + j * pitch + x);
}

/* One row, already in the rings of all colours: blurred, and, unless `slopes` is NULL, its slope in the precision. */
INLINE void blur_row(
    const float *precision, const float *rows[][WINDOW], float *blurred, float *slopes, Shape n, Work *w
) {
    const long plane = n.height * n.width;
    for (long x = 0; x < n.width; x += LANES) {
        Floats a[R + 1], p[R + 1][R + 1], slope[R + 1][R + 1], spread = {};
        const Floats once = weigh(load_some(precision, x, n.width), a);
        UNROLLED for (int k = 1; k <= R; k++) spread += (float)(k * k) * a[k];
        spread *= 2.0f * once;
        UNROLLED for (int i = 0; i <= R; i++) {
            const Floats part = a[i] * once * once;
            UNROLLED for (int j = 0; j <= i; j++) {
                p[i][j] = part * a[j];
                slope[i][j] = p[i][j] * (spread - 0.5f * (i * i + j * j));
            }
        }
        for (long c = 0; c < n.colours; c++) {
            Floats sum = {}, moment = {};
            UNROLLED for (int i = 0; i <= R; i++) {
                UNROLLED for (int j = 0; j <= i; j++) {
                    Floats v = four(rows[c], i, j, x, w->pitch);
                    if (i != j) v += four(rows[c], j, i, x, w->pitch);
                    sum += p[i][j] * v;
                    if (slopes) moment += slope[i][j] * v;
                }
            }
            store_some(blurred + c * plane, x, n.width, sum);
            if (slopes) store_some(slopes + c * plane, x, n.width, moment);
        }
    }
}

INLINE void blur_image(
    const float *images, const float *precision, float *blurred, float *slopes, Shape n, Work *w
) {
    const float *rows[n.colours][WINDOW];
    for (long y = 0; y < n.height; y++) {
        for (long c = 0; c < n.colours; c++) advance(images + c * n.height * n.width, c, y, n, w, rows[c]);
        const long at = y * n.width;
        blur_row(precision + at, rows, blurred + at, slopes ? slopes + at : NULL, n, w);
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

INLINE void add(float *to, const float *values, long count) {
    long x = 0;
    for (; x + LANES <= count; x += LANES) store(to + x, load(to + x) + load(values + x));
    for (; x < count; x++) to[x] += values[x];
}

/* A row of the map for backward: a_1 .. a_R, and 1 / T^2. */
INLINE void weigh_row(const float *precision, float *weights, Work *w, long width) {
    for (long x = 0; x < width; x += LANES) {
        Floats a[R + 1];
        const Floats once = weigh(load_some(precision, x, width), a);
        UNROLLED for (int k = 1; k <= R; k++) store(weights + (k - 1) * w->pitch + x, a[k]);
        store(weights + R * w->pitch + x, once * once);
    }
}

/* A row of the slope of the blurred image: its sources. */
INLINE void source_row(const float *slope, const float *weights, float *source, Work *w, long width) {
    for (long x = 0; x < width; x += LANES) {
        const Floats u = load_some(slope, x, width) * load(weights + R * w->pitch + x);
        store(source + x, u);
        UNROLLED for (int k = 1; k <= R; k++) store(source + k * w->pitch + x, u * load(weights + (k - 1) * w->pitch + x));
    }
}

/* The blur's transpose: a pixel t gives a_i a_j u(t) to those at distance i, j. Row y, which may lie up to R outside
   the image, from the sources of the rows y - R .. y + R, into w->gathered from column -R on. */
INLINE void gather_row(Work *w, long c, long y, long width) {
    const float *sources[WINDOW], *weights[WINDOW];
    for (int k = 0; k < WINDOW; k++) {
        sources[k] = slot(w->ring, c, y + k - R, w->pitch);
        weights[k] = slot(w->weights, 0, y + k - R, w->pitch);
    }
    for (long x = 0; x < width; x += LANES) {
        Floats sum[R + 1];
        UNROLLED for (int j = 0; j <= R; j++) sum[j] = load(sources[R] + j * w->pitch + x);
        UNROLLED for (int i = 1; i <= R; i++) {
            Floats above = load(weights[R - i] + (i - 1) * w->pitch + x);
            Floats below = load(weights[R + i] + (i - 1) * w->pitch + x);
            UNROLLED for (int j = 0; j <= R; j++) {
                sum[j] += above * load(sources[R - i] + j * w->pitch + x);
                sum[j] += below * load(sources[R + i] + j * w->pitch + x);
            }
        }
        UNROLLED for (int j = 0; j <= R; j++) store(w->products + j * w->wide + 2 * R + x, sum[j]);
    }
    for (long x = 0; x < width + 2 * R; x += LANES) {
        const float *centre = w->products + R + x;
        Floats sum = load(centre);
        UNROLLED for (int j = 1; j <= R; j++) sum += load(centre + j * w->wide - j) + load(centre + j * w->wide + j);
        store(w->gathered + x, sum);
    }
    for (int k = 1; k <= R; k++) {
        w->gathered[R + k] += w->gathered[R - k];
        w->gathered[R + width - 1 - k] += w->gathered[R + width - 1 + k];
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
    const long plane = n.height * n.width, row = n.width * sizeof(float);
    Work w;
    void *memory = open_work(&w, n);
    if (!memory) return 1;
    for (long c = 0; c < n.colours; c++) memset(slope_images + c * plane + n.width, 0, R * row);
    for (long y = 0; y < n.height + 2 * R; y++) {
        float *weights = slot(w.weights, 0, y, w.pitch);
        if (y < n.height) weigh_row(precision + y * n.width, weights, &w, n.width);
        for (long c = 0; c < n.colours; c++) {
            float *source = slot(w.ring, c, y, w.pitch);
            if (y < n.height)
                source_row(slope + c * plane + y * n.width, weights, source, &w, n.width);
            else
                memset(source, 0, (R + 1) * w.pitch * sizeof(float));
            const long done = y - R;
            float *slope_row = slope_images + c * plane + reflected(done, n.height) * n.width;
            gather_row(&w, c, done, n.width);
            if (done == 0 || (done > R && done < n.height))
                memcpy(slope_row, w.gathered + R, row);
            else
                add(slope_row, w.gathered + R, n.width);
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
