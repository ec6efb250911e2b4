// PacketIO
