// libpng reports errors by longjmp, which must not cross Swift frames; here it crosses none. Its simplified API for
// reading has no such errors, but since Debian's 1.6.39-2+deb12u4 it corrupts interlaced images of 16 bits.
#include "CPNG.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  png_structp png;
  png_infop info;
  const uint8_t *bytes;
  size_t left;
  char *message;
} Reader;

static void fail(png_structp png, png_const_charp reason) {
  Reader *reader = png_get_error_ptr(png);
  snprintf(reader->message, CPNG_MESSAGE, "%s", reason);
  png_longjmp(png, 1);
}

static void say_nothing(png_structp png, png_const_charp warning) {
  (void)png;
  (void)warning;
}

static void copy(png_structp png, png_bytep place, size_t count) {
  Reader *reader = png_get_io_ptr(png);
  if (count > reader->left) png_error(png, "it is cut off");
  memcpy(place, reader->bytes, count);
  reader->bytes += count;
  reader->left -= count;
}

static int open_reader(Reader *reader, const uint8_t *bytes, size_t count, char *message) {
  memset(reader, 0, sizeof *reader);
  reader->bytes = bytes;
  reader->left = count;
  reader->message = message;
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, fail, say_nothing);
  reader->info = reader->png ? png_create_info_struct(reader->png) : NULL;
  if (reader->info) return 1;
  snprintf(message, CPNG_MESSAGE, "libpng cannot begin");
  png_destroy_read_struct(&reader->png, &reader->info, NULL);
  return 0;
}

// The caller must have set the error handler.
static CPNGHeader begin(Reader *reader) {
  png_structp png = reader->png;
  png_infop info = reader->info;
  // Reads only the chunks that change the colours.
  static const png_byte needed[] = "gAMA\0cHRM\0sRGB\0iCCP\0sBIT";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, needed, (int)sizeof needed / 5);
  png_set_benign_errors(png, 1);
  png_set_read_fn(png, reader, copy);
  png_read_info(png, info);
  int type = png_get_color_type(png, info);
  CPNGHeader header = {
    .width = png_get_image_width(png, info),
    .height = png_get_image_height(png, info),
    .channels = type & PNG_COLOR_MASK_COLOR ? 3 : 1,
    .is_transparent = (type & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0,
  };
  return header;
}

int cpng_read_header(const uint8_t *bytes, size_t count, CPNGHeader *header, char message[CPNG_MESSAGE]) {
  Reader reader;
  if (!open_reader(&reader, bytes, count, message)) return 0;
  if (setjmp(png_jmpbuf(reader.png))) {
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return 0;
  }
  *header = begin(&reader);
  png_destroy_read_struct(&reader.png, &reader.info, NULL);
  return 1;
}

int cpng_decode(
  const uint8_t *bytes, size_t count, uint8_t *pixels, size_t room, char message[CPNG_MESSAGE]) {
  Reader reader;
  if (!open_reader(&reader, bytes, count, message)) return 0;
  if (setjmp(png_jmpbuf(reader.png))) {
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return 0;
  }
  CPNGHeader header = begin(&reader);
  png_structp png = reader.png;
  // Samples are sRGB at any depth, unless the file has a gamma.
  png_set_alpha_mode(png, PNG_ALPHA_PNG, PNG_DEFAULT_sRGB);
  png_set_expand(png);
  png_set_scale_16(png);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);
  size_t row = png_get_rowbytes(png, reader.info);
  size_t wanted = (size_t)header.width * (size_t)(header.channels + header.is_transparent);
  if (row != wanted || row * header.height != room) png_error(png, "it is not what its header says");
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t y = 0; y < header.height; y++) png_read_row(png, pixels + row * y, NULL);
  }
  png_destroy_read_struct(&reader.png, &reader.info, NULL);
  return 1;
}
