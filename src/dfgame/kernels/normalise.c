/* BatchNorm with the activation after it, of one image at a time, maps last:

       made = activation(features * scale + shift),

   with a scale and a shift for each map. Forward and backward each pass twice over the features: once for sums over all
   pixels, once for values. The slope is let through where the activation is the identity.

   ACTIVATION is given to the compiler: 0 is none, 1 is ReLU, 6 is ReLU6. */

#include <stdlib.h>

#define TILE 64 /* pixels whose sums are in float32, before they are added up in float64 */
#if ACTIVATION == 0
#define ACTIVATED(value) (value)
#define LETS_THROUGH(value) 1
#elif ACTIVATION == 1
#define ACTIVATED(value) ((value) < 0 ? 0 : (value))
#define LETS_THROUGH(value) (((value) > 0) & ((value) < __builtin_inff()))
#else
#define ACTIVATED(value) ((value) < 0 ? 0 : (value) > ACTIVATION ? ACTIVATION : (value))
#define LETS_THROUGH(value) (((value) > 0) & ((value) < ACTIVATION))
#endif

typedef struct {
    double *whole;
    float *tile;
} Sums;

static Sums new_sums(long maps) {
    Sums sums = {calloc(2 * maps, sizeof(double)), calloc(2 * maps, sizeof(float))};
    return sums;
}

static void add_tile(Sums sums, long maps) {
    for (long k = 0; k < 2 * maps; k++) {
        sums.whole[k] += sums.tile[k];
        sums.tile[k] = 0;
    }
}

static int written(Sums sums, float *made, long maps) {
    int failed = !sums.whole || !sums.tile;
    for (long k = 0; !failed && k < 2 * maps; k++)
        made[k] = sums.whole[k];
    free(sums.whole);
    free(sums.tile);
    return failed;
}

/* of_maps: centre. made[0][c]: the sum of features - centre; made[1][c]: that of its square. */
int dfgame_normalise_sums(const float *restrict features, float *made, const float *restrict of_maps, long maps,
                          long pixels) {
    const float *restrict centre = of_maps;
    Sums sums = new_sums(maps);
    float *restrict first = sums.tile, *restrict second = first + maps;
    for (long p = 0; first && sums.whole && p < pixels; p++) {
        const float *restrict row = features + p * maps;
        for (long c = 0; c < maps; c++) {
            float value = row[c] - centre[c];
            first[c] += value;
            second[c] += value * value;
        }
        if (p % TILE == TILE - 1 || p == pixels - 1)
            add_tile(sums, maps);
    }
    return written(sums, made, maps);
}

/* of_maps: scale, shift. */
int dfgame_normalise_values(const float *restrict features, float *restrict made, const float *restrict of_maps,
                            long maps, long pixels) {
    const float *restrict scale = of_maps, *restrict shift = scale + maps;
    for (long p = 0; p < pixels; p++)
        for (long c = 0; c < maps; c++) {
            float value = features[p * maps + c] * scale[c] + shift[c];
            made[p * maps + c] = ACTIVATED(value);
        }
    return 0;
}

/* of_maps: scale, shift, centre. made[0][c]: the sum of the slopes let through; made[1][c]: that of their products with
   features - centre. */
int dfgame_normalise_slope_sums(const float *restrict features, const float *restrict slope, float *made,
                                const float *restrict of_maps, long maps, long pixels) {
    const float *restrict scale = of_maps, *restrict shift = scale + maps, *restrict centre = shift + maps;
    Sums sums = new_sums(maps);
    float *restrict first = sums.tile, *restrict second = first + maps;
    for (long p = 0; first && sums.whole && p < pixels; p++) {
        const float *restrict row = features + p * maps, *restrict given = slope + p * maps;
        for (long c = 0; c < maps; c++) {
            float value = row[c], through = given[c];
            through *= LETS_THROUGH(value * scale[c] + shift[c]);
            first[c] += through;
            second[c] += through * (value - centre[c]);
        }
        if (p % TILE == TILE - 1 || p == pixels - 1)
            add_tile(sums, maps);
    }
    return written(sums, made, maps);
}

/* of_maps: scale, shift, centre, tilt, offset. made: the slope of the features, scale * slope let through +
   tilt * (features - centre) + offset. */
int dfgame_normalise_slope(const float *restrict features, const float *restrict slope, float *restrict made,
                           const float *restrict of_maps, long maps, long pixels) {
    const float *restrict scale = of_maps, *restrict shift = scale + maps, *restrict centre = shift + maps;
    const float *restrict tilt = centre + maps, *restrict offset = tilt + maps;
    for (long p = 0; p < pixels; p++)
        for (long c = 0; c < maps; c++) {
            float value = features[p * maps + c], through = slope[p * maps + c];
            through *= LETS_THROUGH(value * scale[c] + shift[c]);
            made[p * maps + c] = scale[c] * through + tilt[c] * (value - centre[c]) + offset[c];
        }
    return 0;
}
