#ifndef CJPEG_H
#define CJPEG_H

#include <stddef.h>
#include <stdint.h>

/// The header of a JPEG, up to its first scan.
typedef struct {
  int width, height;
  /// 1: grey, 3: colour, 4: CMYK, or YCCK converted to CMYK.
  int channels;
  /// The bytes of coefficients kept while decoding: those of all scans if there are several, 0 for one.
  size_t held;
} CJPEGHeader;

/// The size of an error message.
enum { CJPEG_MESSAGE = 200 };

/// Reads the header of a JPEG from its first bytes. Returns 0 and a message on failure.
int cjpeg_read_header(const uint8_t *bytes, size_t count, CJPEGHeader *header, char message[CJPEG_MESSAGE]);

/// Decodes at the scale 1/divisor, 1, 2, 4 or 8, to `room` bytes [H, W, C] of 1, 3 or 4 channels; keeps CMYK as stored.
/// Returns 0 and a message if a row is missing or damaged.
int cjpeg_decode(
  const uint8_t *bytes, size_t count, int divisor, int channels, uint8_t *pixels, size_t room,
  char message[CJPEG_MESSAGE]);

#endif
