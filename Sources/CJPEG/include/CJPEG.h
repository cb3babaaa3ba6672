#ifndef CJPEG_H
#define CJPEG_H

#include <stddef.h>
#include <stdint.h>

/// What a JPEG says of itself before its first scan.
typedef struct {
  int width, height;
  /// 1: grey, 3: colour, 4: CMYK, or YCCK, which becomes CMYK.
  int channels;
  /// Bytes of the coefficients that decoding keeps: of all scans where there are several, 0 for one.
  size_t held;
} CJPEGHeader;

/// Room for why something cannot be read.
enum { CJPEG_MESSAGE = 200 };

/// Reads the header of a JPEG, of which `bytes` is the beginning. Returns 0 and a message where that cannot be done.
int cjpeg_read_header(const uint8_t *bytes, size_t count, CJPEGHeader *header, char message[CJPEG_MESSAGE]);

/// Decodes at the scale 1/divisor, 1, 2, 4 or 8, to `room` bytes [H, W, C] of 1, 3 or 4 channels; CMYK as it is
/// stored. Returns 0 and a message where a row is missing or damaged.
int cjpeg_decode(
  const uint8_t *bytes, size_t count, int divisor, int channels, uint8_t *pixels, size_t room,
  char message[CJPEG_MESSAGE]);

#endif
