"""Author B: terse outpatient shorthand with abbreviations, scanned. Rules may be written against it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from random import Random
from typing import ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.style import People, Section, Style

_TRADITIONAL = str.maketrans("电话机号诊病证医检查门术药联系岁后来", "電話機號診病證醫檢查門術藥聯繫歲後來")
_SPOKEN = str.maketrans("0123456789", "零一二三四五六七八九")


class StyleB(Style):
    """Short, no headings, scanned."""

    name = "B"
    people: ClassVar[People] = People(
        surnames="陈林黄张李王吴刘蔡杨许郑谢郭洪曾邱赖周叶徐苏庄江吕何罗高潘朱简钟彭詹游施沈卓余柯颜柳涂童连阮蓝温巫古官白纪翁麦邝关伍冼甘区欧容招莫岑霍骆植凌梅龙劳黎陆陶严崔贝",
        given="小东阿美大宝丽萍国栋嘉欣雪儿思远佳怡天佑一鸣可馨子墨若曦梦瑶沁语安琪乐乐启航承恩少峰凯旋玉珠彩云月娥水生火旺木森土根金水秋菊冬生夏荷春花喜顺发财旺盛",
        compound=("欧阳", "司徒", "端木", "夏侯", "南宫", "东方"),
        minority=("麦麦提·艾山", "阿孜古丽", "努尔兰·哈力", "格桑旺堆", "白玛央宗", "金·阿依努尔"),
        latin=(("Chen", "Xiaodong"), ("Lin", "Amei"), ("Huang", "Dabao"), ("Tsai", "Chiahsin"), ("Wu", "Guodong")),
    )
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "sx": (
            "自发痛",
            "冷热痛",
            "咳嗽",
            "发热",
            "腹泻",
            "皮疹",
            "牙龈出血",
            "头痛",
            "乏力纳差",
            "咽痛",
            "胸闷",
            "腰痛",
        ),
        "dx": (
            *("慢牙周", "龋病", "急性根尖周炎", "上感", "支气管炎", "AGE", "HTN", "DM2", "CHD", "湿疹", "智齿冠周炎"),
            *("桡骨茎突狭窄性腱鞘炎", "贝尔面瘫", "雷诺综合征", "白塞病", "舍格伦综合征", "艾迪生病", "莱姆病"),
        ),
        "rx": (
            *(
                "阿莫西林0.5 tid×3d",
                "甲硝唑0.2 tid",
                "布洛芬0.3 prn",
                "头孢克肟0.1 bid",
                "西替利嗪10mg qn",
                "左炔诺孕酮",
            ),
            *(
                "蒙脱石散3g tid",
                "板蓝根1包tid",
                "碧兰麻1.7ml",
                "2%利多卡因",
                "双氯芬酸50mg",
                "氨溴索30mg",
                "连花清瘟4# tid",
            ),
        ),
        "pe": (
            *(
                "叩+",
                "松Ⅱ°",
                "冷诊(+)",
                "热诊(-)",
                "BOP(+)",
                "PD 3-5mm",
                "咽红",
                "扁桃Ⅱ°大",
                "双肺清",
                "腹软无压痛",
                "心肺(-)",
            ),
            *("17-16邻面龋", "36-37食物嵌塞", "残根", "窦道", "EPT 45/80"),
        ),
        "lab": (
            "WBC 11.2",
            "CRP 23.5",
            "Hb 132",
            "PLT 210",
            "HbA1c 7.8%",
            "K+ 3.9",
            "ALT 35(9-50)",
            "LDL 3.6",
            "BMI 24.5",
        ),
        "tx": (
            "开髓引流",
            "RCT一次法",
            "去腐垫底充填",
            "龈上洁治",
            "冲洗上碘甘油",
            "拔除18",
            "雾化",
            "清创换药",
            "根充后拍片",
            "取模",
        ),
    }
    fillers: ClassVar[dict[str, tuple[str, ...]]] = {
        "who": ("母", "父", "妻", "夫", "子", "女", "孙"),
        "ask": ("要求开药", "要求拔牙", "要求转诊", "拒拍片", "考虑后再定"),
    }
    titles: ClassVar[tuple[str, ...]] = ("医生", "主任", "大夫", "护士", "老师")
    courtesies: ClassVar[tuple[str, ...]] = ("阿姨", "叔叔", "先生", "女士", "师傅", "奶奶")
    hospitals: ClassVar[tuple[str, ...]] = (
        *(
            "漳州市第三医院",
            "佛山市禅城区口腔医院",
            "莆田学院附属医院",
            "仁济口腔门诊部",
            "台山市人民医院",
            "福州协和医院",
        ),
    )
    wards: ClassVar[tuple[str, ...]] = ("牙周科二诊室", "内三病区", "口外二病区", "3号诊室", "急诊5诊室")
    joint: ClassVar[str] = " "
    sections: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "{patient} {age} 男 门诊号{record_no} {date}",
                "{date} {patient}，女，{age}，卡号:{visit_no}。",
                "Pt {patient} {age} tel {mobile}",
                "姓名{patient} 病历号:{record_no} 就诊{date}",
                "{pinyin} / {patient} ID:{record_no} {date}",
                "{date} 初诊 {patient} 手机{mobile}",
            ),
        ),
        (
            0.5,
            (
                "联系{who}{kin} {kin_mobile}",
                "身份证{resident_id} 电话{mobile}",
                "住{address}",
                "地址:{address} 手机:{mobile}",
                "电话 {landline}",
                "家里座机:{local_phone}",
                "医保号{insurance}",
                "社保卡{insurance}，自费部分刷卡{bank_card}",
                "护照{passport}",
                "回乡证{hkm_permit}",
                "台胞证{tw_permit}",
                "VX:{wechat}",
                "QQ{qq}",
                "邮箱 {email}",
                "车停门口 {plate} 请挪车",
                "士兵证{officer_card}",
                "上传IP {ip}，图见{url}",
                "种植体批号略，设备编号{device}",
                "生日{birth}",
            ),
        ),
        (
            1.0,
            (
                "C/O:{tooth}{sx}{n}天。",
                "{sx}伴{sx}{n}d，自服{rx}无效。",
                "复诊，{tooth}{sx}好转。上次{past}由{titled}看过。",
                "主诉{tooth}{sx}{n}月余，{past}外院治疗过。",
                "{who}{kin}代诉：{sx}{n}天，体温{measure}。",
                "因{sx}来诊，{other_hospital}转来，首诊医生{stranger}。",
            ),
        ),
        (
            1.0,
            (
                "PE:{tooth}{pe}，{pe}，{lab}。",
                "O/E {pe}；{pe}；BP {measure}。",
                "检:{tooth}{pe} {tooth}{pe} X片示{tooth}根尖暗影。",
                "{lab} {lab}，T {measure}。片号{exam_no}",
                "查{pe}，{lab}（{past}）。",
            ),
        ),
        (
            0.9,
            ("Dx:{dx}", "印象：{dx} {dx}", "诊断 {tooth}{dx}", "考虑{dx}，r/o {dx}。"),
        ),
        (
            1.0,
            (
                "Rx:{rx} {rx}",
                "处理：{tx}，{rx}，{ask}。",
                "Tx {tooth}{tx} 碧兰浸润 {tx}。",
                "{tx}，医嘱交代，{ask}。",
                "送病理{path_no}，{tx}。",
            ),
        ),
        (
            0.6,
            (
                "约{later}复诊，找{titled}。",
                "复诊{part_date}",
                "{later}复查，有事打{new_mobile}找{nurse}。",
                "{courteous}已知晓，{ask}。",
                "费用已和{kin}说明，签字{kin}。",
                "建议转{other_hospital}，已联系{stranger}医生。",
                "转{ward}，{part_date}去。",
            ),
        ),
        (
            0.85,
            (
                "医师{doctor}",
                "{doctor}/{nurse}",
                "签名：{doctor} {date}",
                "医生:{doctor} 护士:{nurse}",
                "{doctor} {date}",
            ),
        ),
    )
    free: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "C/O:{tooth}{sx}{n}天，{sx}。",
                "{sx}{n}d伴{sx}，自服{rx}略好。",
                "主诉{tooth}{sx}{n}月余，夜间重，影响进食。",
            ),
        ),
        (1.0, ("PMH:{dx}{years}，{dx}，NKDA，无烟酒。", "既往{dx}，长期吃{rx}，控制可，余(-)。")),
        (
            1.0,
            (
                "PE:{tooth}{pe}，{tooth}{pe}，{pe}，余牙未见明显异常。",
                "O/E {pe}；{pe}；{pe}；BP {measure}，HR {measure}。",
            ),
        ),
        (1.0, ("{lab}，{lab}，{lab}；X片示牙槽骨水平吸收至根中1/3。", "化验{lab} {lab} 尿常规(-)，胸片(-)，{lab}。")),
        (1.0, ("Dx:{dx}；{dx}。", "印象：{tooth}{dx}，{dx}待排。")),
        (
            1.0,
            (
                "Tx:{tx}，{tx}，{rx}。",
                "Rx:{rx}；{rx}；{rx}。嘱多饮水，清淡饮食，不适随诊。",
                "处理：{tx}，上橡皮障，{tx}，调合抛光，医嘱常规。",
            ),
        ),
        (
            0.8,
            (
                "方便时复诊，如疼痛加重随时来院。",
                "告知风险，患者知情同意，择期修复。",
                "建议定期洁治，学习巴氏刷牙法，使用牙线。",
            ),
        ),
    )

    def noise(self, rng: Random) -> Callable[[str], str] | None:
        return (lambda text: text.translate(_TRADITIONAL)) if rng.random() < 0.08 else None

    def address(self, rng: Random) -> str:
        place = rng.choice(("漳州芗城区", "佛山市禅城区", "台山市台城", "福州鼓楼区", "莆田荔城区", ""))
        street = rng.choice(("新华西路", "汾江中路", "胜利街", "桔园洲", "东大路", "文献西路"))
        form = rng.random()
        if not place or form < 0.5:
            return f"{place}{street}{rng.randint(1, 300)}号{rng.randint(1, 9)}0{rng.randint(1, 6)}"
        if form < 0.75:
            return f"{place}{rng.choice(('西坑', '霞浯', '沙堤', '下林'))}村{rng.randint(1, 200)}号"
        return f"{place}{street}{rng.randint(1, 300)}号{rng.choice(('丽景花园', '碧水湾', '金桂苑'))}{rng.randint(1, 20)}栋{rng.randint(1, 30)}0{rng.randint(1, 6)}"

    def date(self, rng: Random, day: dt.date) -> str:
        y, m, d = day.year, day.month, day.day
        return rng.choice(
            (
                *(f"{y}.{m}.{d}", f"{y}.{m:02d}.{d:02d}", f"{y}{m:02d}{d:02d}", f"{y % 100:02d}.{m:02d}.{d:02d}"),
                *(f"{y}-{m}-{d}", f"{y % 100:02d}-{m:02d}-{d:02d}", f"{y}/{m:02d}/{d:02d}", f"{y} 年 {m} 月 {d} 日"),
            )
        )

    def part_date(self, rng: Random, day: dt.date) -> str:
        return rng.choice((f"{day.month}/{day.day}", f"{day.month}月{day.day}号", f"{day.month:02d}-{day.day:02d}"))

    def spell(self, rng: Random, kind: str, value: str) -> str:
        chance = rng.random()
        if kind.endswith("mobile"):
            forms = (
                *(
                    value,
                    value,
                    value,
                    f"{value[:3]}-{value[3:6]}-{value[6:]}",
                    f"{value[:4]} {value[4:8]} {value[8:]}",
                ),
                *(" ".join(value), f"{value[:7]}\n{value[7:]}", f"0086{value}", f"(86){value}", f"86-{value}"),
                *(f"{value[:3]}.{value[3:7]}.{value[7:]}", value.replace("0", "O"), value.translate(_SPOKEN)),
            )
            return rng.choice(forms)
        if kind == "resident_id":
            forms = (
                *(
                    value,
                    value,
                    value.lower(),
                    f"{value[:6]} {value[6:14]} {value[14:]}",
                    f"{value[:14]}\n{value[14:]}",
                ),
                *(" ".join(value), value[:-1] + ("1" if value[-1] != "1" else "2")),
            )
            return rng.choice(forms)
        if kind == "bank_card" and chance < 0.4:
            return "-".join(value[i : i + 4] for i in range(0, len(value), 4))
        if kind == "email" and chance < 0.3:
            return value.replace("@", rng.choice(("＠", " @ ", "(at)")))
        if kind == "plate" and chance < 0.5:
            return value[:2] + rng.choice(("·", " ", "-")) + value[2:]
        return value

    def landline(self, rng: Random, area: str, local: str) -> str:
        return rng.choice(
            (
                f"{area} {local}",
                f"（{area}）{local}",
                f"{area}-{local[:4]}-{local[4:]}",
                f"{area}—{local}-{rng.randint(10, 8999)}",
            )
        )

    def record_number(self, rng: Random, kind: str) -> str:
        return {
            "record_no": values.digits(rng, 7),
            "visit_no": "K" + values.digits(rng, 8),
            "exam_no": values.digits(rng, 6),
            "path_no": f"B{rng.randint(19, 24)}-{values.digits(rng, 4)}",
        }[kind]
