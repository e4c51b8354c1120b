#include "client/link/credentials.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

std::string Error(const Credentials& credentials, const std::string& coordinator = "127.0.0.1:7411") {
  return std::string(CheckCredentials(credentials, coordinator).message());
}

TEST(CredentialsTest, NoneAreEnoughWhereNoneAreAsked) {
  EXPECT_TRUE(CheckCredentials(Credentials(), "coordinator:7411").ok());
  EXPECT_EQ(Authorization(Credentials()).value(), "");
}

TEST(CredentialsTest, ATokenStaysOnTheMachineOrIsEncrypted) {
  Credentials credentials;
  credentials.token = "abc";
  for (const char* local : {"127.0.0.1:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(CheckCredentials(credentials, local).ok()) << local;
  }
  EXPECT_THAT(Error(credentials, "coordinator:7411"), HasSubstr("not encrypted; set tls.ca"));
  EXPECT_THAT(Error(credentials, "10.127.0.1:7411"), HasSubstr("not encrypted"));
  credentials.tls.ca = Write("ca.pem", "ca");
  EXPECT_TRUE(CheckCredentials(credentials, "coordinator:7411").ok());
}

TEST(CredentialsTest, ATokenFileIsReadEachTime) {
  Credentials credentials;
  credentials.token_file = Write("token", "one\n");
  EXPECT_EQ(Authorization(credentials).value(), "Bearer one");
  Write("token", "two");
  EXPECT_EQ(Authorization(credentials).value(), "Bearer two");
  Write("token", " \n");
  EXPECT_THAT(Error(credentials), HasSubstr("token_file is empty"));
  Write("token", "one two");
  EXPECT_THAT(Error(credentials), HasSubstr("token_file is not one word"));
  credentials.token_file = "/nowhere/token";
  EXPECT_THAT(Error(credentials), HasSubstr("token_file: /nowhere/token"));
}

TEST(CredentialsTest, WhatDoesNotFitTogetherIsNamed) {
  Credentials credentials;
  credentials.token = "abc";
  credentials.token_file = Write("token", "abc");
  EXPECT_THAT(Error(credentials), HasSubstr("token and token_file are both set"));
  credentials = Credentials();
  credentials.token = "line\nbreak";
  EXPECT_THAT(Error(credentials), HasSubstr("token is not one word"));
  credentials = Credentials();
  credentials.tls.server_name = "coordinator";
  EXPECT_THAT(Error(credentials), HasSubstr("tls.ca is not set"));
  credentials.tls.ca = "/nowhere/ca.pem";
  EXPECT_THAT(Error(credentials), HasSubstr("tls.ca: /nowhere/ca.pem"));
  credentials.tls.ca = Write("ca.pem", "ca");
  credentials.tls.certificate = Write("chain.pem", "chain");
  EXPECT_THAT(Error(credentials), HasSubstr("tls.private_key is not"));
  credentials.tls.private_key = Write("key.pem", "key");
  EXPECT_EQ(Error(credentials), "");
  credentials.tls.certificate.clear();
  EXPECT_THAT(Error(credentials), HasSubstr("tls.certificate is not"));
}

}  // namespace
}  // namespace evenkeel::client
