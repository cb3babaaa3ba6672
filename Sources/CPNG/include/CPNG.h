#ifndef CPNG_H
#define CPNG_H

#include <stddef.h>
#include <stdint.h>

#include <png.h>

/// The header of a PNG.
typedef struct {
  uint32_t width, height;
  /// 1: grey, 3: colour.
  int channels;
  /// Whether an opacity channel follows them.
  int is_transparent;
} CPNGHeader;

/// The size of an error message.
enum { CPNG_MESSAGE = 200 };

/// Reads the header of a PNG from its first bytes. Returns 0 and a message on failure.
int cpng_read_header(const uint8_t *bytes, size_t count, CPNGHeader *header, char message[CPNG_MESSAGE]);

/// Decodes to `room` bytes [H, W, C], with opacity if the header has it. Rounds depths of 16 bits to 8 and applies the
/// file's gamma. Returns 0 and a message on failure.
int cpng_decode(
  const uint8_t *bytes, size_t count, uint8_t *pixels, size_t room, char message[CPNG_MESSAGE]);

#endif
