#include "server/http/gzip.h"

#include <zlib.h>

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace evenkeel::http {
namespace {

std::string Gunzip(const std::string& packed, size_t size) {
  std::string text(size + 1, '\0');
  z_stream stream = {};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(GzipTest, ComesBackAsItWas) {
  std::mt19937 random(20261122);
  for (const size_t size : {0, 1, 1000, 1'000'000}) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    EXPECT_EQ(Gunzip(Gzip(noise), size), noise);
    const std::string same(size, 'x');
    EXPECT_EQ(Gunzip(Gzip(same), size), same);
  }
  EXPECT_LT(Gzip(std::string(100'000, 'x')).size(), 1000u);
}

TEST(GzipTest, IsTakenWhereItIsNamed) {
  for (const char* field : {"gzip", "deflate, gzip;q=0.5", "br , GZIP", "gzip;q=1.0, *;q=0"}) {
    EXPECT_TRUE(AcceptsGzip(field)) << field;
  }
  for (const char* field : {"", "identity", "gzip;q=0", "gzip; q=0.0, br", "*", "gzipped", "x-gzip", ";", ","}) {
    EXPECT_FALSE(AcceptsGzip(field)) << field;
  }
}

}  // namespace
}  // namespace evenkeel::http
