package com.example.golden;

oneway interface IListener {
    void heard(String text);
}
