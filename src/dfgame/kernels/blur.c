/* The pixel-wise Gaussian blur, forward and backward, one pass over the image each. blur.py says what it computes.

   A pixel's Gaussian is separable: with a_k = exp(-k^2 s / 2), and V_ij the sum of the pixels at distance i in rows
   and j in columns (four of them; two or one on the axes),

       x' = N / T^2,   N = sum_i a_i sum_j a_j V_ij,   T = 1 + 2 (a_1 + ... + a_R).

   The sums along a row, H_j(x) = x(x - j) + x(x + j), are made once and kept for the 2 R + 1 rows in use: nothing
   larger than a few rows is ever stored. R, half of the window, is given to the compiler, which unrolls by it; LANES
   pixels of a row are computed at a time. Rows in `Work` are padded to whole lanes. */

#include <stdlib.h>
#include <string.h>

#define WINDOW (2 * R + 1)
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")
#if defined __AVX512F__
#define LANES 16
#elif defined __AVX__
#define LANES 8
#else
#define LANES 4
#endif

typedef float Floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    long colours, height, width;
} Shape;

/* Rings hold the WINDOW rows around the present one; row y of the image is in slot y mod WINDOW. */
typedef struct {
    long pitch, wide;    /* floats from row to row: the width in whole lanes; and with room on either side */
    float *padded;       /* a row of the image with R reflected pixels on either side */
    float *sums;         /* ring for each colour: H_0 .. H_R */
    float *weights;      /* ring: a_1 .. a_R, and 1 / T */
    float *sources;      /* ring for each colour, backward: u a_0 .. u a_R, where u = g / T^2 */
    float *products;     /* backward: what a row gets from those around it, by distance in columns */
    float *gathered;     /* backward: the sum of those, from column -R on */
    float *in, *out;
} Work;

INLINE Floats load(const float *from) { return *(const Floats *)from; }
INLINE void store(float *to, Floats value) { *(Floats *)to = value; }

INLINE long reflected(long index, long size) {
    index = index < 0 ? -index : index;
    return index < size ? index : 2 * (size - 1) - index;
}

INLINE void *open_work(Work *w, Shape n) {
    const long pitch = (n.width + LANES - 1) / LANES * LANES, wide = pitch + 4 * R + 2 * LANES;
    const long ring = WINDOW * (R + 1) * pitch;
    float *memory = calloc(wide * (R + 3) + ring * (2 * n.colours + 1) + pitch * 2, sizeof(float)), *next = memory;
    if (!memory) return NULL;
    w->pitch = pitch;
    w->wide = wide;
    w->padded = next, next += wide;
    w->gathered = next, next += wide;
    w->products = next, next += wide * (R + 1);
    w->sums = next, next += ring * n.colours;
    w->sources = next, next += ring * n.colours;
    w->weights = next, next += ring;
    w->in = next, next += pitch;
    w->out = next;
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

/* A row of the map as weights: a_k = q^(k^2), each from the last, as k^2 - (k - 1)^2 = 2 k - 1; and 1 / T. */
INLINE void weigh_row(const float *precision, Work *w, float *weights, long width) {
    memcpy(w->in, precision, width * sizeof(float));
    for (long x = 0; x < width; x += LANES) {
        Floats q = power_of_two(load(w->in + x) * -0.72134752f), square = q * q, odd = q, a = q, half = q;
        store(weights + x, a);
        UNROLLED for (int k = 2; k <= R; k++) {
            odd *= square;
            a *= odd;
            half += a;
            store(weights + (k - 1) * w->pitch + x, a);
        }
        store(weights + R * w->pitch + x, 1.0f / (1.0f + 2.0f * half));
    }
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
    for (long k = y ? R : -R; k <= R; k++) sum_row(plane, y + k, n, w, slot(w->sums, c, y + k, w->pitch));
    for (int k = 0; k < WINDOW; k++) rows[k] = slot(w->sums, c, y + k - R, w->pitch);
}

INLINE void load_weights(const float *weights, long x, long pitch, Floats a[R + 1], Floats *once) {
    a[0] = (Floats){} + 1.0f;
    UNROLLED for (int k = 1; k <= R; k++) a[k] = load(weights + (k - 1) * pitch + x);
    *once = load(weights + R * pitch + x);
}

/* V_ij of the pixels from column x on. */
INLINE Floats four(const float *rows[WINDOW], int i, int j, long x, long pitch) {
    if (i == 0) return load(rows[R] + j * pitch + x);
    return load(rows[R - i] + j * pitch + x) + load(rows[R + i] + j * pitch + x);
}

/* One image, planes of height x width, and its one map. Returns 0, or 1 where there is no memory. */
int dfgame_blur_forward(
    const float *images, const float *precision, float *blurred, long colours, long height, long width
) {
    const Shape n = { colours, height, width };
    const long plane = height * width;
    Work w;
    void *memory = open_work(&w, n);
    if (!memory) return 1;
    for (long y = 0; y < height; y++) {
        weigh_row(precision + y * width, &w, w.weights, width);
        for (long c = 0; c < colours; c++) {
            const float *rows[WINDOW];
            advance(images + c * plane, c, y, n, &w, rows);
            for (long x = 0; x < width; x += LANES) {
                Floats a[R + 1], once, sum = {};
                load_weights(w.weights, x, w.pitch, a, &once);
                UNROLLED for (int i = 0; i <= R; i++) {
                    Floats inner = four(rows, i, 0, x, w.pitch);
                    UNROLLED for (int j = 1; j <= R; j++) inner += a[j] * four(rows, i, j, x, w.pitch);
                    sum += a[i] * inner;
                }
                store(w.out + x, sum * once * once);
            }
            memcpy(blurred + c * plane + y * width, w.out, width * sizeof(float));
        }
    }
    free(memory);
    return 0;
}

INLINE void add(float *to, const float *values, long count) {
    long x = 0;
    for (; x + LANES <= count; x += LANES) store(to + x, load(to + x) + load(values + x));
    for (; x < count; x++) to[x] += values[x];
}

/* A row of the slope of the blurred image: its sources, and, added to w->out, the slope of the map. */
INLINE void source_row(
    const float *slope, const float *rows[WINDOW], const float *weights, float *source, Work *w, long width
) {
    memcpy(w->in, slope, width * sizeof(float));
    for (long x = 0; x < width; x += LANES) {
        Floats a[R + 1], once, sum = {}, moment = {}, spread = {};
        load_weights(weights, x, w->pitch, a, &once);
        UNROLLED for (int i = 0; i <= R; i++) {
            Floats inner = four(rows, i, 0, x, w->pitch), inner_moment = {};
            UNROLLED for (int j = 1; j <= R; j++) {
                Floats part = a[j] * four(rows, i, j, x, w->pitch);
                inner += part;
                inner_moment += (float)(j * j) * part;
            }
            sum += a[i] * inner;
            moment += a[i] * (inner_moment + (float)(i * i) * inner);
            spread += (float)(i * i) * a[i];
        }
        Floats u = load(w->in + x) * once * once;
        store(w->out + x, load(w->out + x) + u * (2.0f * sum * spread * once - 0.5f * moment));
        store(source + x, u);
        UNROLLED for (int k = 1; k <= R; k++) store(source + k * w->pitch + x, u * a[k]);
    }
}

/* The blur's transpose: a pixel t gives a_i a_j u(t) to those at distance i, j. Row y, which may lie up to R outside
   the image, from the sources of the rows y - R .. y + R, into w->gathered from column -R on. */
INLINE void gather_row(Work *w, long c, long y, long width) {
    const float *sources[WINDOW], *weights[WINDOW];
    for (int k = 0; k < WINDOW; k++) {
        sources[k] = slot(w->sources, c, y + k - R, w->pitch);
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

/* The gradients of one image, unless `slope_images` is NULL, and of its map, from the slope g of its blurred image. */
int dfgame_blur_backward(
    const float *images, const float *precision, const float *slope, float *slope_images, float *slope_precision,
    long colours, long height, long width
) {
    const Shape n = { colours, height, width };
    const long plane = height * width, row = width * sizeof(float);
    Work w;
    void *memory = open_work(&w, n);
    if (!memory) return 1;
    for (long c = 0; slope_images && c < colours; c++) memset(slope_images + c * plane + width, 0, R * row);
    for (long y = 0; y < height + 2 * R; y++) {
        float *weights = slot(w.weights, 0, y, w.pitch);
        if (y < height) weigh_row(precision + y * width, &w, weights, width);
        memset(w.out, 0, w.pitch * sizeof(float));
        for (long c = 0; c < colours; c++) {
            float *source = slot(w.sources, c, y, w.pitch);
            if (y < height) {
                const float *rows[WINDOW];
                advance(images + c * plane, c, y, n, &w, rows);
                source_row(slope + c * plane + y * width, rows, weights, source, &w, width);
            } else {
                memset(source, 0, (R + 1) * w.pitch * sizeof(float));
            }
            if (!slope_images) continue;
            const long done = y - R;
            float *slope_row = slope_images + c * plane + reflected(done, height) * width;
            gather_row(&w, c, done, width);
            if (done == 0 || (done > R && done < height))
                memcpy(slope_row, w.gathered + R, row);
            else
                add(slope_row, w.gathered + R, width);
        }
        if (y < height) memcpy(slope_precision + y * width, w.out, row);
    }
    free(memory);
    return 0;
}
