#ifndef CPNG_H
#define CPNG_H

#include <stddef.h>
#include <stdint.h>

#include <png.h>

/// What a PNG says of itself before its pixels.
typedef struct {
  uint32_t width, height;
  /// 1: grey, 3: colour.
  int channels;
  /// Whether an opacity follows them.
  int is_transparent;
} CPNGHeader;

/// Room for why something cannot be read.
enum { CPNG_MESSAGE = 200 };

/// Reads the header of a PNG, of which `bytes` is the beginning. Returns 0 and a message where that cannot be done.
int cpng_read_header(const uint8_t *bytes, size_t count, CPNGHeader *header, char message[CPNG_MESSAGE]);

/// Decodes to `room` bytes [H, W, C], with an opacity where the header says so: depths of 16 bits rounded to 8, a
/// gamma of the file's own applied. Returns 0 and a message where that cannot be done.
int cpng_decode(
  const uint8_t *bytes, size_t count, uint8_t *pixels, size_t room, char message[CPNG_MESSAGE]);

#endif
