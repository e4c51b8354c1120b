#include "server/security/certificate_files.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/security/test_certificates.h"

namespace evenkeel::security {
namespace {

using ::testing::HasSubstr;

class CertificateFilesTest : public ::testing::Test {
 protected:
  CertificateFilesTest() {
    tls_.set_certificate(Write("chain.pem", server_.chain));
    tls_.set_private_key(Write("key.pem", server_.private_key));
    tls_.set_client_ca(Write("ca.pem", ca_.certificate()));
  }

  static std::string Write(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  std::string Error() const { return std::string(ReadCertificates(tls_).status().message()); }

  const TestCa ca_{"ca"};
  const TestCertificate server_ = ca_.IssueServer();
  v1::Tls tls_;
};

TEST_F(CertificateFilesTest, ReadsWhatFitsTogether) {
  const absl::StatusOr<Certificates> certificates = ReadCertificates(tls_);
  ASSERT_TRUE(certificates.ok()) << certificates.status();
  EXPECT_EQ(certificates->chain, server_.chain);
  EXPECT_EQ(certificates->private_key, server_.private_key);
  EXPECT_EQ(certificates->client_ca, ca_.certificate());
  tls_.clear_client_ca();
  ASSERT_TRUE(ReadCertificates(tls_).ok());
  EXPECT_EQ(ReadCertificates(tls_)->client_ca, "");
  Write("chain.pem", server_.chain + ca_.certificate());
  EXPECT_TRUE(ReadCertificates(tls_).ok()) << "a chain";
}

TEST_F(CertificateFilesTest, WhatIsMissingIsNamed) {
  tls_.set_certificate("/nowhere/chain.pem");
  EXPECT_EQ(ReadCertificates(tls_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Error(), HasSubstr("/nowhere/chain.pem"));
}

TEST_F(CertificateFilesTest, WhatIsNoCertificateIsNamed) {
  Write("chain.pem", "hello");
  EXPECT_THAT(Error(), HasSubstr("tls.certificate: " + tls_.certificate() + " holds no certificate"));
  Write("chain.pem", "");
  EXPECT_THAT(Error(), HasSubstr("holds no certificate"));
  Write("chain.pem", server_.chain + ca_.certificate().substr(0, 200));
  EXPECT_THAT(Error(), HasSubstr("malformed or cut off"));
  Write("chain.pem", server_.chain);
  Write("ca.pem", server_.private_key);
  EXPECT_THAT(Error(), HasSubstr("tls.client_ca: " + tls_.client_ca() + " holds no certificate"));
}

TEST_F(CertificateFilesTest, EveryCutOfAFileIsNoticed) {
  for (size_t size = 0; size + 1 < server_.chain.size(); size += 7) {
    Write("chain.pem", server_.chain.substr(0, size));
    EXPECT_FALSE(ReadCertificates(tls_).ok()) << size;
  }
  Write("chain.pem", server_.chain);
  for (size_t size = 0; size + 1 < server_.private_key.size(); size += 7) {
    Write("key.pem", server_.private_key.substr(0, size));
    EXPECT_FALSE(ReadCertificates(tls_).ok()) << size;
  }
}

TEST_F(CertificateFilesTest, TheKeyOfAnotherIsNamed) {
  Write("key.pem", ca_.IssueServer().private_key);
  EXPECT_THAT(Error(), HasSubstr("is not the key of the certificate in " + tls_.certificate()));
}

TEST_F(CertificateFilesTest, AnExpiredCertificateIsNamed) {
  TestCa::Request request;
  request.valid_to = -60;
  const TestCertificate expired = ca_.Issue(request);
  Write("chain.pem", expired.chain);
  Write("key.pem", expired.private_key);
  EXPECT_THAT(Error(), HasSubstr("has expired"));
}

}  // namespace
}  // namespace evenkeel::security
